"""Dead letters: what could not be applied, kept with its reason, so that a person can look and send it again."""

from typing import Final

from saga_app import topics, wire
from saga_app.core.errors import Rejected
from saga_app.durable.ports import Header, Message, Outgoing

REASON: Final = "saga-reason"
DETAIL: Final = "saga-detail"
TOPIC: Final = "saga-topic"
PARTITION: Final = "saga-partition"
OFFSET: Final = "saga-offset"
TIME: Final = "saga-time"
#: Bytes of headers that a dead letter keeps of the original.
MOST_HEADER_BYTES: Final = 64 * 1024


def dead_letter(topic: str, partition: int, message: Message, rejection: Rejected) -> Outgoing:
    """The original bytes, key and headers, and why and where from; (topic, partition, offset) makes it unique."""
    position: list[Header] = [
        (REASON, str(rejection.fault).encode()),
        (DETAIL, rejection.detail.encode("utf-8", errors="replace")),
        (TOPIC, topic.encode()),
        (PARTITION, str(partition).encode()),
        (OFFSET, str(message.offset).encode()),
        (TIME, str(message.time).encode()),
    ]
    return Outgoing(
        topics.DEAD_LETTERS,
        wire.harmless(message.key),
        wire.harmless(message.value),
        headers=(*_kept(message), *position),
    )


def _kept(message: Message) -> list[Header]:
    size = sum(len(name) + len(value or b"") for name, value in message.headers)
    if size > MOST_HEADER_BYTES:
        return [("saga-headers-dropped", str(size).encode())]
    return [(name, wire.harmless(value) or b"") for name, value in message.headers]
