"""Changelog partitions, to be read: with librdkafka, in chunks, past Faust.

Stock Faust recovers 9,200 rows a second through its event loop, seeks out of range where old segments are gone
(`docs/reference/faust.md#c3`) and may apply a row to the wrong table (`docs/reference/faust.md#c5`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Message

from saga_app.core.numbers import Offset
from saga_app.engine.ports import row_in
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of


class Logged(NamedTuple):
    """One row in a changelog."""

    offset: Offset
    key: bytes
    value: bytes


class Changelog(Protocol):
    """A changelog partition, to be read."""

    topic: str
    partition: int

    def end(self) -> Offset:
        """The offset after the last row."""

    def read(self, start: Offset, end: Offset) -> Iterator[Sequence[Logged]]:
        """The rows from `start` up to, not including, `end`, in chunks."""


class KafkaChangelog:
    """One changelog partition; see `Changelog`."""

    def __init__(self, config: Mapping[str, Any], topic: str, partition: int, end: Offset) -> None:
        self.topic = topic
        self.partition = partition
        self._end = end
        self._config = config

    def end(self) -> Offset:
        return self._end

    def read(self, start: Offset, end: Offset) -> Iterator[Sequence[Logged]]:
        for chunk in chunks(self._config, self.topic, self.partition, start, end):
            yield [logged(each) for each in chunk]


def logged(message: Message) -> Logged:
    """A row as it stands in a changelog."""
    return Logged(Offset(message.offset()), message.key(), row_in(message.value(), headers_of(message)))
