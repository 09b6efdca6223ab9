"""Reads batches: records from all topics, turned into rows; reports every few seconds how far it is."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from saga_app.kafka.messages import Place, located
from saga_app.orderdb.copy.batch import UNREADABLE, RowBatch
from saga_app.orderdb.copy.source import Fetched, SourceConsumer
from saga_app.orderdb.copy.source_topics import row_mappers
from saga_app.settings import Settings

#: Seconds from one report of progress to the next.
REPORT_EVERY: Final = 5.0
#: Takes a line of text for people.
Report = Callable[[str], None]


class BatchReader:
    """Reads from the offsets `start` on; see `SourceConsumer`, whose methods block."""

    def __init__(self, settings: Settings, start: Mapping[Place, int], report: Report) -> None:
        self.start = start
        self._consumer = SourceConsumer(settings, start)
        self._mappers = row_mappers(settings.app_id)
        self._report = report
        self._reported_at = time.monotonic()
        self._reported = -1

    def read(self) -> tuple[Fetched, RowBatch]:
        """The next records and their rows; soon, also if there are none. Raises `KafkaException`."""
        fetched = self._consumer.fetch()
        batch = RowBatch()
        for message in fetched.messages:
            try:
                self._mappers[message.topic()](batch, message)
            except UNREADABLE as error:
                place = located((message.topic(), message.partition()), message.offset())
                self._report(
                    f"{place} is no record of ours and was left out: {type(error).__name__}: {error}"
                )
        return fetched, batch

    def report_progress(self, records: int) -> None:
        """Reports the number of copied records, if the last report was some seconds ago and more were copied since."""
        now = time.monotonic()
        if self._reported < 0:
            self._reported = records
        if now - self._reported_at < REPORT_EVERY:
            return
        if records > self._reported:
            rate = (records - self._reported) / (now - self._reported_at)
            lag = self._consumer.lag()
            self._report(f"{records:,} records copied ({rate:,.0f} per second), {lag:,} to go")
        self._reported_at, self._reported = now, records

    def close(self) -> None:
        """Gives up the connection."""
        self._consumer.close()
