"""Follows how orders end, from the topics alone."""

from collections import Counter
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from saga_app import topics, wire
from saga_app.core.errors import Rejected
from saga_app.core.records import OrderCancelled, OrderCompleted, Reason
from saga_app.settings import readers_group

#: Seconds to wait for the broker's answer.
PATIENCE: Final = 15.0
COMPLETED: Final = "completed"
_ENDING: Final = b'{"type":"OrderC'
#: Reasons in plain words.
IN_WORDS: Final = {
    Reason.OVER_LIMIT: "payment refused: over the limit",
    Reason.INSUFFICIENT_FUNDS: "payment refused: insufficient funds",
    Reason.UNKNOWN_SKU: "out of stock: unknown article",
    Reason.OUT_OF_STOCK: "out of stock",
    Reason.UNDELIVERABLE: "undeliverable",
    Reason.REQUESTED: "cancelled on request",
    Reason.TIMED_OUT: "timed out",
}


class Ending(NamedTuple):
    """An order, and how it ended in plain words."""

    order_id: str
    outcome: str


class Follower:
    """Reads `checkout_events` and counts `dead_letters`, from now on."""

    def __init__(self, kafka: dict[str, Any], partitions: int) -> None:
        unused = {"group.id": readers_group(kafka), "enable.auto.commit": False}
        self._consumer = Consumer({**kafka, **unused})
        self._partitions = partitions
        self._consumer.assign(
            [
                TopicPartition(topics.CHECKOUT, each, self._end(topics.CHECKOUT, each))
                for each in range(partitions)
            ]
        )
        self._dead_before = self._dead()
        #: Order id to outcome, of every order that has ended.
        self.ended: dict[str, str] = {}

    def poll(self, seconds: float) -> list[Ending]:
        """Orders that have ended meanwhile; each order once."""
        endings = []
        for message in self._consumer.consume(1_000, seconds):
            ending = _ending(message)
            if ending is not None and ending.order_id not in self.ended:
                self.ended[ending.order_id] = ending.outcome
                endings.append(ending)
        return endings

    def dead_lettered(self) -> int:
        """Dead letters since the start."""
        return self._dead() - self._dead_before

    def counts(self) -> Counter[str]:
        """How many orders ended how."""
        return Counter(self.ended.values())

    def close(self) -> None:
        """Gives up the connection."""
        self._consumer.close()

    def _dead(self) -> int:
        return sum(self._end(topics.DEAD_LETTERS, each) for each in range(self._partitions))

    def _end(self, topic: str, partition: int) -> int:
        end: int = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE)[1]
        return end


def _ending(message: Message) -> Ending | None:
    # Most records are placings, which would cost a thousand times more to read than to recognize.
    if message.error() is not None or not (message.value() or b"").startswith(_ENDING):
        return None
    try:
        record = wire.decode(message.value())
    except Rejected:
        return None
    if isinstance(record, OrderCompleted):
        return Ending(record.order_id, COMPLETED)
    if isinstance(record, OrderCancelled):
        return Ending(record.order_id, IN_WORDS[record.reason])
    return None
