"""Records in the wrong partition: each is sent on to its own, once."""

from typing import Final

from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import Record
from saga_app.kafka.headers import SENT_ON
from saga_app.kafka.messages import Header, Message, size_of

_MARK: Final[Header] = (SENT_ON, b"1")
#: Bytes of a record that may be sent on: the topic must take it with the mark, and with what Kafka puts around it.
LARGEST: Final = topics.LARGEST_IN_INBOX - 1024


def is_misrouted(record: Record, message: Message, partition: int, partitions: int) -> bool:
    """True if the record belongs to another partition and must be sent on. Raises `Rejected` if it cannot be."""
    if topics.partition_for(record, partitions) in (None, partition):
        return False
    if is_sent_on(message):
        raise Rejected(
            Fault.WRONG_PARTITION, "the record was sent on once and is still in the wrong partition"
        )
    if size_of(message) > LARGEST:
        raise Rejected(
            Fault.TOO_LARGE,
            f"{size_of(message)} bytes in the wrong partition; a record to be sent on has at most {LARGEST}",
        )
    return True


def is_sent_on(message: Message) -> bool:
    """True if the record was sent on from a wrong partition."""
    return any(name == SENT_ON for name, _ in message.headers)


def marked(message: Message) -> tuple[Header, ...]:
    """The headers with which the record is sent on."""
    return (*message.headers, _MARK)
