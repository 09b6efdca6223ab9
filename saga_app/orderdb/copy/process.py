"""The process that copies until a signal. It then ends soon, whatever the broker or the database does."""

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from saga_app.orderdb.copy.batch_reader import Report
from saga_app.orderdb.copy.heartbeat import beat
from saga_app.orderdb.copy.projector import Projector
from saga_app.orderdb.copy.sink import Sink
from saga_app.orderdb.database import Database, DatabaseWrong
from saga_app.settings import Settings
from saga_app.signals import STOP_WITHIN, until_signal
from saga_app.times import now

if TYPE_CHECKING:
    from saga_app.orderdb.traces.tracer import Tracer


def follow(
    settings: Settings, report: Report, *, once: bool = False, empty: bool = False, force: bool = False
) -> int:
    """Copies until SIGTERM or SIGINT, or with `once` until the end; returns the number of copied records.

    With `empty` it removes everything first and copies from the beginning.
    Raises `DatabaseWrong`, also where `empty` would remove orders that may be evicted, unless `force` is set.
    """
    # What fails is reported once, and not by each client.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    async def run() -> int:
        database = Database(settings.db_url)
        tracer = _tracer(settings, database, report)
        projector = Projector(settings, database, report, tracer)
        beating: asyncio.Task[None] | None = None
        tracing = None if tracer is None else asyncio.ensure_future(tracer.run())
        try:
            if empty:
                await database.make()
                await Sink(database).empty(None if force else _evicted_before(settings))
            beating = asyncio.ensure_future(beat(database))
            await until_signal(lambda stop: projector.run(stop, once=once))
        finally:
            if beating is not None:
                beating.cancel()
            if tracer is not None and tracing is not None:
                tracing.cancel()
                with suppress(TimeoutError):
                    await asyncio.wait_for(tracer.flush(), STOP_WITHIN)
            with suppress(TimeoutError):
                await asyncio.wait_for(database.close(), STOP_WITHIN)
        return projector.records

    return asyncio.run(run())


def _evicted_before(settings: Settings) -> int | None:
    """Orders that ended before this moment may be evicted from the tables."""
    age = settings.order_retention
    return None if age is None else now() - age


def _tracer(settings: Settings, database: Database, report: Report) -> "Tracer | None":
    """The tracer, if traces are switched on; only then its packages are needed."""
    if not (settings.traces or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        return None
    try:
        from saga_app.orderdb.traces.tracer import Tracer
    except ModuleNotFoundError as error:
        raise DatabaseWrong(
            f"traces need the package {error.name}; in the folder of this project: pip install '.[orders,traces]'"
        ) from error
    return Tracer(settings.app_id, settings.traces, database, report)
