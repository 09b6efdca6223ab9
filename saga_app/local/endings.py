"""Reads how orders end, from the topics alone."""

import time
from collections import Counter
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, Message, TopicPartition

from saga_app import topics, wire
from saga_app.core.errors import Rejected
from saga_app.core.records import OrderCancelled, OrderCompleted, Reason, StepName
from saga_app.dead_letters.letter import read_letter
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
    Reason.DECLINED: "payment refused: declined by the provider",
    Reason.REQUESTED: "cancelled on request",
    Reason.TIMED_OUT: "timed out",
}


class Ending(NamedTuple):
    """An order and its outcome in plain words."""

    order_id: str
    outcome: str


class EndingsReader:
    """Reads `checkout_events` and `dead_letters`, from now on."""

    def __init__(self, kafka: dict[str, Any], partitions: int) -> None:
        unused = {"group.id": readers_group(kafka), "enable.auto.commit": False}
        self._consumer = Consumer({**kafka, **unused})
        self._next = {
            (topic, each): self._end(topic, each)
            for topic in (topics.CHECKOUT, topics.DEAD_LETTERS)
            for each in range(partitions)
        }
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])
        #: Order id to outcome, of every order that has ended.
        self.ended: dict[str, str] = {}
        self._letters = 0

    def poll(self, seconds: float) -> list[Ending]:
        """The orders that have ended since the last call; each order once."""
        endings = []
        for message in self._consumer.consume(1_000, seconds):
            if message.error() is not None:
                continue
            self._next[message.topic(), message.partition()] = message.offset() + 1
            if message.topic() == topics.DEAD_LETTERS:
                # The topic also has markers of replays.
                self._letters += read_letter(message) is not None
                continue
            ending = _ending(message)
            if ending is not None and ending.order_id not in self.ended:
                self.ended[ending.order_id] = ending.outcome
                endings.append(ending)
        return endings

    def dead_lettered(self) -> int:
        """The number of dead letters since the start."""
        ends = {place: self._end(*place) for place in self._next}
        latest = time.monotonic() + PATIENCE
        while any(self._next[place] < end for place, end in ends.items()):
            if time.monotonic() > latest:
                raise TimeoutError(f"{topics.DEAD_LETTERS} was not read to its end in {PATIENCE:.0f} s")
            self.poll(0.1)
        return self._letters

    def counts(self) -> Counter[str]:
        """The number of orders by outcome."""
        return Counter(self.ended.values())

    def close(self) -> None:
        """Closes the connection."""
        self._consumer.close()

    def _end(self, topic: str, partition: int) -> int:
        end: int = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE)[1]
        return end


def _ending(message: Message) -> Ending | None:
    # Most records are placed orders: parsing one takes a thousand times longer than this comparison.
    if not (message.value() or b"").startswith(_ENDING):
        return None
    try:
        record = wire.decode(message.value())
    except Rejected:
        return None
    if isinstance(record, OrderCompleted):
        return Ending(record.order_id, COMPLETED)
    if isinstance(record, OrderCancelled):
        if record.reason is Reason.DECLINED and record.step is not StepName.PAYMENT:
            return Ending(record.order_id, f"declined, at {record.step}")
        return Ending(record.order_id, IN_WORDS.get(record.reason, record.reason.replace("_", " ")))
    return None
