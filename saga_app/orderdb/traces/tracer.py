"""Sends a trace of each order that has ended to an OpenTelemetry collector, without holding up the copy.

A trace is worth less than an order: a trace that cannot be sent soon is left out, and that is reported.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from saga_app.core.rows import OPEN_STATUSES
from saga_app.orderdb.copy.batch import RowBatch
from saga_app.orderdb.database import Database
from saga_app.orderdb.queries.order import OrderDetails, find
from saga_app.orderdb.schema import orders
from saga_app.orderdb.traces.spans import is_whole, resource, spans

#: At most so many orders wait for their trace.
MOST: Final = 10_000
#: Orders that are sent together.
AT_A_TIME: Final = 200
#: Seconds between two attempts to send.
PAUSE: Final = 1.0
#: Seconds to wait until all records of an order are copied.
PATIENCE: Final = 60.0
#: Seconds that the collector has to answer.
WITHIN: Final = 5.0


class Tracer:
    """Holds the orders that have ended and are not sent yet, and sends them."""

    def __init__(self, app_id: str, endpoint: str, database: Database, report: Callable[[str], None]) -> None:
        self._app_id = app_id
        self._database = database
        self._report = report
        self._source = resource(app_id)
        # Without an endpoint the exporter reads OTEL_EXPORTER_OTLP_ENDPOINT itself.
        self._exporter = OTLPSpanExporter(endpoint=endpoint or None, timeout=WITHIN)
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._problem = ""
        self.sent = self.left_out = 0

    def copied(self, batch: RowBatch) -> None:
        """Takes the orders of a batch that the database has now."""
        for row in batch.tables[orders].values():
            if row["status"] not in OPEN_STATUSES:
                self._waiting.setdefault(row["order_id"], time.monotonic() + PATIENCE)
        while len(self._waiting) > MOST:
            self._waiting.popitem(last=False)
            self._leave_out(1, "more orders end than traces can be sent: some are left out")

    async def run(self) -> None:
        """Sends again and again until it is cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            await self.flush()

    async def flush(self) -> None:
        """Sends the orders whose records are all copied."""
        for order_ids in self._parts():
            try:
                async with self._database.transaction() as connection:
                    found = [await find(connection, order_id) for order_id in order_ids]
            except Exception:
                # The copy meets the same error, and reports it.
                return
            ready = [each for each in found if self._is_ready(each)]
            if ready:
                await self._send(ready)

    def _parts(self) -> list[list[str]]:
        waiting = list(self._waiting)
        return [waiting[at : at + AT_A_TIME] for at in range(0, len(waiting), AT_A_TIME)]

    def _is_ready(self, found: OrderDetails) -> bool:
        if is_whole(found):
            return True
        if time.monotonic() > self._waiting.get(found.order_id, 0):
            self._waiting.pop(found.order_id, None)
            self._leave_out(1, "an order that ended is not whole in the database, and its trace is left out")
        return False

    async def _send(self, ready: list[OrderDetails]) -> None:
        """Sends these orders once: the collector may be away for long, so it does not try again."""
        batch: list[ReadableSpan] = []
        for found in ready:
            batch += spans(found, self._app_id, self._source)
            self._waiting.pop(found.order_id, None)
        if not batch:
            return
        result = await asyncio.to_thread(self._exporter.export, batch)
        if result is SpanExportResult.SUCCESS:
            self.sent += len(ready)
            self._problem = ""
        else:
            self._leave_out(len(ready), "traces cannot be sent and are left out (SAGA_TRACES)")

    def _leave_out(self, orders: int, why: str) -> None:
        """Reports once, until a trace is sent again or the reason changes."""
        self.left_out += orders
        if self._problem != why:
            self._problem = why
            self._report(f"{why}; copying goes on")
