"""Records as they are read from Kafka and written to it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from saga_app import topics, wire
from saga_app.core.numbers import Generation, Offset
from saga_app.core.records import ForPartition, PolicyChanged, Record
from saga_app.kafka.headers import COST, require_fit

#: Name and value; the value may be missing.
Header = tuple[str, bytes | None]
#: The header with a tombstone's version.
VERSION: Final = "saga-version"
#: The header of rows that a rebuild has written: their time is not the time of the decision.
REBUILT: Final = "saga-rebuilt"
#: The header of rows that a worker has written again from its disk: the same is true of them.
WRITTEN_AGAIN: Final = "saga-written-again"
#: A topic, or a table, and a partition.
Place = tuple[str, int]
#: By place, the offsets of records that name their partition, in order.
Offsets = Mapping[Place, Sequence[Offset]]


class Message(NamedTuple):
    """One record of an inbox; `time` is Kafka's, in milliseconds."""

    offset: Offset
    time: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


def located(place: Place, offset: int) -> str:
    """The place of a record as it is written everywhere, for people, for machines and in addresses."""
    return f"{place[0]}:{place[1]}:{offset}"


def size_of(message: Message) -> int:
    """Bytes of key, value and headers, each header at what it costs."""
    size = len(message.key or b"") + len(message.value or b"")
    if message.headers:
        size += sum(COST + len(name) + len(value or b"") for name, value in message.headers)
    return size


def record_in(message: Message, decoder: wire.Decoder) -> Record:
    """The record in a message; `Rejected` with the reason, and never another exception."""
    if message.headers:
        require_fit(message.headers)
    return decoder.decode(message.value)


class Batch(NamedTuple):
    """One fetch of one partition: every record from `start` up to, not including, `end`.

    `generation` is the consumer group's at the time of the fetch; batches of an earlier generation are dropped. `size`
    is the bytes of all fetched messages, and stays the same if a round takes only a part of the batch. `epoch` is the
    leader epoch of the last message, -1 if it is not known.
    """

    partition: int
    start: Offset
    end: Offset
    generation: Generation
    messages: Sequence[Message]
    size: int = 0
    epoch: int = -1


#: One fetch of one inbox.
Fetch = Sequence[Batch]


class Outgoing(NamedTuple):
    """A record to write; without a partition, the key's murmur2 hash chooses one."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Sequence[Header] = ()


def outgoing(record: Record) -> Outgoing:
    """The record as bytes, with its topic, its key, and the partition if it names one."""
    partition = None
    if isinstance(record, ForPartition):
        partition = record.partition
    elif isinstance(record, PolicyChanged):
        partition = topics.POLICY_PARTITION
    return Outgoing(topics.topic_of(record), topics.key_of(record).encode(), wire.encode(record), partition)
