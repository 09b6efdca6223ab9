"""Batches without Kafka: messages, and an order database that takes them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from harness.copies import rows
from saga_app.orderdb import schema
from saga_app.orderdb.copy.batch import RowBatch
from saga_app.orderdb.copy.sink import Sink
from saga_app.orderdb.copy.source_topics import SourceTopics, row_mappers
from saga_app.orderdb.database import Database
from saga_app.settings import Settings

READERS = row_mappers("saga")
SOURCE = SourceTopics("saga", "cluster", {topic: f"id of {topic}" for topic in READERS}, [])


class FakeMessage:
    """A record as confluent-kafka gives it."""

    def __init__(
        self,
        topic: str,
        offset: int,
        value: bytes | None,
        key: bytes = b"k",
        time: int = 0,
        headers: Any = (),
    ) -> None:
        self._all = (topic, offset, value, key, (1, time or 1_000 + offset), list(headers))

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self._all[0]

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return self._all[1]

    def value(self) -> bytes | None:
        return self._all[2]

    def key(self) -> bytes:
        return self._all[3]

    def timestamp(self) -> tuple[int, int]:
        return self._all[4]

    def headers(self) -> Any:
        return self._all[5]


def batch(*messages: FakeMessage) -> RowBatch:
    found = RowBatch()
    for message in messages:
        READERS[message.topic()](found, message)
    return found


class OrderCopy:
    """An order database of a test, and the sink that writes to it."""

    def __init__(self, url: str) -> None:
        self.settings = Settings(db_url=url)
        self._runner = asyncio.Runner()
        self.database = Database(url)
        self.sink = Sink(self.database)
        self.run(self.database.make)
        self.batches = self.run(self.sink.begin, SOURCE).batches

    def run(self, work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        async def call() -> Any:
            return await work(*arguments)

        return self._runner.run(call())

    def write(self, *messages: FakeMessage) -> None:
        """Writes one batch."""
        reached = {(each.topic(), each.partition()): each.offset() + 1 for each in messages}
        self.batches = self.run(self.sink.write, batch(*messages), reached, SOURCE, self.batches)
        self.run(self.sink.count)

    def order(self) -> dict[str, Any]:
        (found,) = rows(self.settings, schema.orders)
        return found

    def close(self) -> None:
        self.run(self.database.close)
        self._runner.close()
