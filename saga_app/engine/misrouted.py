"""Records that must go to other partitions: a misrouted one is sent on to its own, a policy to all.

A header marks what a worker has sent on. It is sent on no second time, so nothing goes round for ever.
"""

from collections.abc import Sequence
from typing import Final

from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import PolicyChanged, Record
from saga_app.kafka.headers import SENT_ON, is_sent_on
from saga_app.kafka.messages import Header, Message, size_of

_MARK: Final[Header] = (SENT_ON, b"1")
#: Bytes of a record that may be sent on: the topic must take it with the mark, and with what Kafka puts around it.
LARGEST: Final = topics.LARGEST_IN_INBOX - 1024


def is_misrouted(record: Record, message: Message, partition: int, partitions: int) -> bool:
    """True if the record belongs to another partition and must be sent on. Raises `Rejected` if it cannot be."""
    if topics.partition_for(record, partitions) == partition:
        return False
    if is_sent_on(message.headers):
        if type(record) is PolicyChanged:
            # The copy for this partition.
            return False
        raise Rejected(
            Fault.WRONG_PARTITION, "the record was sent on once and is still in the wrong partition"
        )
    _require_room(message)
    return True


def spread_to(record: Record, message: Message, partition: int, partitions: int) -> Sequence[int]:
    """The partitions that get a copy of this record. Raises `Rejected` if it is too large for that.

    These are all other partitions, for a policy that has come to its first one.
    """
    if type(record) is not PolicyChanged or partition != topics.POLICY_PARTITION:
        return ()
    _require_room(message)
    return [each for each in range(partitions) if each != partition]


def _require_room(message: Message) -> None:
    if size_of(message) > LARGEST:
        raise Rejected(
            Fault.TOO_LARGE,
            f"{size_of(message)} bytes; a record that is sent on to another partition has at most {LARGEST}",
        )


def marked(message: Message) -> tuple[Header, ...]:
    """The headers with which the record is sent on."""
    return tuple(message.headers) if is_sent_on(message.headers) else (*message.headers, _MARK)
