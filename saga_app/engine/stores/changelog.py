"""Changelog partitions, to be read: with librdkafka, in chunks, past Faust.

Stock Faust recovers 9,200 rows a second through its event loop, seeks out of range where old segments are gone
(`docs/reference/faust.md#c3`) and may apply a row to the wrong table (`docs/reference/faust.md#c5`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from confluent_kafka import Message

from saga_app.core.errors import ForeignRow
from saga_app.core.numbers import Offset
from saga_app.core.rows import version_of
from saga_app.engine.ports import row_in
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Place, located

#: No offset is so high.
MOST_VERSION: Final = 2**63
#: A row is at most so many records ahead of the end of its inbox, where the inbox has lost its last records since.
MOST_AHEAD: Final = 1_000_000
#: Called with the place and offset of each record that is no row, and why it is none; it may raise.
OnForeign = Callable[[Place, Offset, str], None]


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


def refuse(place: Place, offset: Offset, why: str) -> NoReturn:
    """A worker goes no further: the record may stand where compaction has removed the row of its key."""
    raise ForeignRow(f"{located(place, offset)} holds no row of ours: {why}")


def leave_out(place: Place, offset: Offset, why: str) -> None:
    """Whoever compares a changelog, or makes it anew, goes on with its other rows."""


class KafkaChangelog:
    """One changelog partition; see `Changelog`. Records that are no rows are left out if `on_foreign` returns."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        partition: int,
        end: Offset,
        on_foreign: OnForeign = refuse,
        below: int = MOST_VERSION,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self._end = end
        self._config = config
        self._on_foreign = on_foreign
        self._below = below

    def end(self) -> Offset:
        return self._end

    def read(self, start: Offset, end: Offset) -> Iterator[Sequence[Logged]]:
        for chunk in chunks(self._config, self.topic, self.partition, start, end):
            if rows := [*readable((self.topic, self.partition), chunk, self._on_foreign, self._below)]:
                yield rows


def readable(
    place: Place, chunk: Sequence[Message], on_foreign: OnForeign, below: int = MOST_VERSION
) -> Iterator[Logged]:
    """The rows among these records of a changelog partition; no row has a version of `below` or more."""
    for each in chunk:
        try:
            yield logged(each, below)
        except (ValueError, TypeError, LookupError) as error:
            on_foreign(place, Offset(each.offset()), str(error))


def logged(message: Message, below: int = MOST_VERSION) -> Logged:
    """A row as it stands in a changelog; an error if it is none, as far as its ends tell: this is done for each."""
    key, row = message.key(), row_in(message.value(), headers_of(message))
    if not key or not key.isascii():
        raise ValueError("its key is none of a row")
    if (version := version_of(row)) >= below:
        raise ValueError(f"its version is {version}, which is far beyond the end of its inbox")
    if not row.endswith(b"}"):
        raise ValueError("it does not end as a row does")
    return Logged(Offset(message.offset()), key, row)
