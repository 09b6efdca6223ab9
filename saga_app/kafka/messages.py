"""Records as they are read from Kafka and written to it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from saga_app import topics, wire
from saga_app.core.records import ForPartition, Record

#: A value may be missing.
Header = tuple[str, bytes | None]
#: A tombstone's version.
VERSION: Final = "saga-version"
#: A topic, or a table, and a partition of it.
Place = tuple[str, int]
#: The offsets of records that name their partition, by place, in order.
Offsets = Mapping[Place, Sequence[int]]


class Message(NamedTuple):
    """One record of an inbox; `time` is Kafka's, in milliseconds."""

    offset: int
    time: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


def size_of(message: Message) -> int:
    """Bytes of all that somebody may have put into it."""
    size = len(message.key or b"") + len(message.value or b"")
    if message.headers:
        size += sum(len(name) + len(value or b"") for name, value in message.headers)
    return size


class Batch(NamedTuple):
    """One fetch of one partition: everything from `start` up to, not including, `end`.

    `generation` is the consumer group's when the batch was fetched; a batch of an earlier one is dropped. `size` is the
    bytes of the messages as they were fetched, and stays the same where a round takes the batch in parts.
    """

    partition: int
    start: int
    end: int
    generation: int
    messages: Sequence[Message]
    size: int = 0


#: One fetch of one inbox.
Fetch = Sequence[Batch]


class Outgoing(NamedTuple):
    """A record to be written; without a partition, the key's murmur2 hash chooses it."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Sequence[Header] = ()


def outgoing(record: Record) -> Outgoing:
    """The record as bytes, for the topic and key that follow from it, and the partition that it names, if any."""
    partition = record.partition if isinstance(record, ForPartition) else None
    return Outgoing(topics.topic_of(record), topics.key_of(record).encode(), wire.encode(record), partition)
