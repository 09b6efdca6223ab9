"""Dense batches: few bytes that unpack to very many. A client that unpacks them all at once runs out of memory.

With `compression.type=uncompressed` a broker keeps none, so those that are found are from before the topic had this
setting. Whoever reads a topic to which people write looks at the headers of its batches first, and reads with
`RawClient` up to behind the last dense one.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import takewhile

from aiokafka.errors import KafkaError
from confluent_kafka import Message

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.kafka.raw import RawClient
from saga_app.topics import DEAD_LETTERS, INBOXES


class DenseBatches:
    """How far each partition was looked at, and where its last dense batch ends.

    A batch that was begun counts as one: only from its first record on it shows whether its records lie.
    """

    def __init__(self) -> None:
        self._seen: dict[Place, Offset] = {}
        self._last: dict[Place, Offset] = {}

    def find(
        self, client: RawClient, start: Mapping[Place, int], end: int | None = None
    ) -> dict[Place, Offset]:
        """By partition that has dense batches from this offset up to its present end, or `end`, where the last ends.

        A partition that the broker refuses to show has none: the client that reads it says why. Raises `TimeoutError`.
        """
        for place, offset in start.items():
            with suppress(KafkaError):
                for batch in client.batches(place, max(offset, self._seen.get(place, offset)), end):
                    self._seen[place] = following = Offset(batch.last + 1)
                    if batch.is_dense or batch.first < offset:
                        self._last[place] = following
        return {place: end for place, end in self._last.items() if end > start.get(place, end)}

    def note(self, place: Place, end: Offset) -> None:
        """Up to here this partition must be read with care, as up to a dense batch."""
        self._last[place] = max(end, self._last.get(place, end))


def in_order(messages: Iterable[Message], start: int) -> tuple[list[Message], list[range]]:
    """The records whose offsets rise from this one on, and the offsets that are missing before and between them.

    A record with another offset lies. An offset is missing where a transaction ended or was aborted, and where a record
    lies: only the batches tell which, see `RawClient.has_records`. An error among them takes none; it names an
    offset that was reached, or none at all where a log was truncated.
    """
    following = start
    found: list[Message] = []
    gaps: list[range] = []
    for each in messages:
        offset = each.offset()
        if offset is None:
            found.append(each)
            continue
        if offset < following:
            continue
        if offset > following:
            gaps.append(range(following, offset))
        found.append(each)
        following = offset + (each.error() is None)
    return found, gaps


def before(messages: Iterable[Message], offset: int) -> list[Message]:
    """The records up to this offset, which are in order; an error may name no offset."""
    return list(takewhile(lambda each: each.offset() is None or each.offset() < offset, messages))


def is_written_by_people(topic: str) -> bool:
    """True if the topic may hold batches that are none of ours."""
    return topic in INBOXES or topic == DEAD_LETTERS
