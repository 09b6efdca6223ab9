"""Follows `checkout_events` and collects how orders end."""

import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from harness.log import parsed
from saga_app import topics
from saga_app.kafka.liveness import Liveness
from saga_app.kafka.retries import RETRIABLE


class Endings:
    """From now on, or from the beginning of the topic."""

    def __init__(
        self,
        broker: str,
        partitions: int = topics.DEFAULT_PARTITIONS,
        from_beginning: bool = False,
        log_level: int = 3,
    ) -> None:
        self._config = {
            "bootstrap.servers": broker,
            "group.id": "tests",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 20,
            "socket.timeout.ms": 5_000,
            "log_level": log_level,
        }
        self._consumer = Consumer(self._config)
        self._liveness = Liveness(topics.CHECKOUT)
        #: Partition to the offset of its next record.
        self._next: dict[int, int] = {}
        for partition in range(partitions):
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(topics.CHECKOUT, partition), timeout=10
            )
            self._next[partition] = low if from_beginning else high
        self._assign()
        #: Order id to COMPLETED or the reason of the cancellation.
        self.ended: dict[str, str] = {}
        #: Order id to Kafka's times in milliseconds of its placing and of its end.
        self.placed_at: dict[str, int] = {}
        self.ended_at: dict[str, int] = {}
        #: Endings sent more than once.
        self.repeats = 0

    def poll(self, seconds: float) -> int:
        """Takes new endings; the number of orders that have ended. Raises `KafkaException` at an error that stays."""
        messages = self._consumer.consume(5_000, seconds)
        if messages:
            self._liveness.heard()
        elif self._liveness.is_cut_off(self._consumer):
            self._consumer.close()
            self._consumer = Consumer(self._config)
            self._assign()
        for message in messages:
            if (error := message.error()) is None:
                self._next[message.partition()] = message.offset() + 1
                if message.value():
                    self._see(message)
            elif error.code() not in RETRIABLE and not error.retriable():
                raise KafkaException(error)
        return len(self.ended)

    def wait_for(self, count: int, seconds: float) -> None:
        """Waits until so many orders have ended. The error names the missing ones."""
        end = time.monotonic() + seconds
        while self.poll(0.01) < count:
            assert time.monotonic() < end, (
                f"{len(self.ended)} of {count} orders ended within {seconds:.0f} s; "
                f"open are, for example, {[each for each in self.placed_at if each not in self.ended][:3]}"
            )

    def close(self) -> None:
        """Gives up the connection."""
        self._consumer.close()

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(topics.CHECKOUT, *each) for each in self._next.items()])

    def _see(self, message: Any) -> None:
        fields = parsed(message.value())
        kind, order_id = fields.get("type"), str(fields.get("order_id"))
        if "order_id" in fields and kind in (None, "OrderPlaced"):
            self.placed_at.setdefault(order_id, message.timestamp()[1])
        elif kind in ("OrderCompleted", "OrderCancelled"):
            self.repeats += order_id in self.ended
            self.ended.setdefault(order_id, fields.get("reason") or "COMPLETED")
            self.ended_at.setdefault(order_id, message.timestamp()[1])
