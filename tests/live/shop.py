"""A shop for tests and measurements: makes orders, sends them, and waits until they have ended."""

import json
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from saga_app import topics, wire

SKUS = [f"SKU-{number:04d}" for number in range(200)]
CUSTOMERS = [f"C{number:04d}" for number in range(500)]

Sent = dict[str, Any]


def supplies(quantity: int = 900_000) -> Iterator[Sent]:
    """Plenty of everything, and money for every second customer."""
    for at in range(0, len(SKUS), 50):
        lines = [{"sku": sku, "quantity": quantity} for sku in SKUS[at : at + 50]]
        yield {"type": "StockReceived", "delivery_id": f"first-{at}", "warehouse": "main", "lines": lines}
    for customer in CUSTOMERS[::2]:
        yield {"type": "FundsDeposited", "deposit_id": "first", "customer_id": customer, "amount": "900000.00"}


def orders(count: int, seed: int = 1, prefix: str = "o") -> Iterator[Sent]:
    """Orders of 1 to 4 lines; every tenth is refused: by payment, by inventory or by shipping."""
    chance = random.Random(seed)
    for number in range(count):
        lines = [
            {"sku": sku, "quantity": chance.randint(1, 5), "unit_price": "12.50"}
            for sku in chance.sample(SKUS, chance.choice((1, 2, 3, 4)))
        ]
        order = {
            "type": "OrderPlaced",
            "order_id": f"{prefix}-{number}",
            "customer_id": chance.choice(CUSTOMERS),
            "country": "GB",
            "lines": lines,
        }
        if number % 30 == 0:
            lines.append({"sku": "DEAR", "quantity": 1, "unit_price": "5000.00"})
        elif number % 30 == 10:
            lines.append({"sku": "UNKNOWN", "quantity": 1, "unit_price": "1.00"})
        elif number % 30 == 20:
            order["country"] = "NZ"
        yield order


def expected(number: int) -> str:
    """How the order with this number ends: COMPLETED, or the reason of its cancellation."""
    return {0: "over_limit", 10: "unknown_sku", 20: "undeliverable"}.get(number % 30, "COMPLETED")


class Shop:
    """Sends records to their inboxes as people's tools do."""

    def __init__(self, broker: str, partitions: int) -> None:
        self.broker = broker
        self.partitions = partitions
        self._producer = Producer(
            {"bootstrap.servers": broker, "partitioner": "murmur2_random", "linger.ms": 5, "acks": "all"}
        )

    def send(self, records: Iterable[Sent]) -> int:
        """Sends all and waits until the broker has them; how many."""
        count = 0
        for count, fields in enumerate(records, 1):
            record = wire.decode(json.dumps(fields).encode())
            self.raw(topics.topic_of(record), json.dumps(fields).encode(), topics.key_of(record).encode())
        self.flush()
        return count

    def raw(self, topic: str, value: bytes | None, key: bytes | None = None, **options: Any) -> None:
        """One record, just as it is."""
        while True:
            try:
                self._producer.produce(topic, value, key, **options)
                return
            except BufferError:
                self._producer.poll(0.1)

    def flush(self) -> None:
        """Waits until the broker has everything."""
        left = self._producer.flush(30)
        assert left == 0, f"{left} records were not taken by the broker"


def everything(broker: str, topic: str, partitions: int) -> list[Any]:
    """All messages of a topic, as they are now, partition by partition."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "tests", "enable.auto.commit": False})
    try:
        messages: list[Any] = []
        for partition in range(partitions):
            place = TopicPartition(topic, partition)
            low, high = consumer.get_watermark_offsets(place, timeout=10)
            consumer.assign([TopicPartition(topic, partition, low)])
            at = low
            while at < high:
                for message in consumer.consume(10_000, 1.0):
                    if message.error() is None and message.offset() < high:
                        messages.append(message)
                        at = message.offset() + 1
        return messages
    finally:
        consumer.close()


class Endings:
    """Follows `checkout_events` from now on and collects how orders end."""

    def __init__(self, broker: str, partitions: int, from_beginning: bool = False) -> None:
        self._consumer = Consumer({"bootstrap.servers": broker, "group.id": "tests", "enable.auto.commit": False})
        places = []
        for partition in range(partitions):
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topics.CHECKOUT, partition), timeout=10)
            places.append(TopicPartition(topics.CHECKOUT, partition, low if from_beginning else high))
        self._consumer.assign(places)
        #: Order id to COMPLETED or the reason of the cancellation.
        self.ended: dict[str, str] = {}
        #: Order id to Kafka's times in milliseconds of its placing and of its end.
        self.placed_at: dict[str, int] = {}
        self.ended_at: dict[str, int] = {}
        #: Endings sent more than once.
        self.repeats = 0

    def poll(self, seconds: float) -> int:
        """Takes what is there; how many orders have ended."""
        for message in self._consumer.consume(5_000, seconds):
            if message.error() is None and message.value():
                self._see(message)
        return len(self.ended)

    def wait_for(self, count: int, seconds: float) -> None:
        """Until so many orders have ended; an error that names what is missing."""
        end = time.monotonic() + seconds
        while self.poll(0.2) < count:
            assert time.monotonic() < end, f"{len(self.ended)} of {count} orders ended within {seconds:.0f} s"

    def close(self) -> None:
        """Gives up the connection."""
        self._consumer.close()

    def _see(self, message: Any) -> None:
        try:
            fields = json.loads(message.value())
            kind, order_id = fields.get("type"), str(fields["order_id"])
        except (ValueError, KeyError, AttributeError, TypeError):
            return
        if kind == "OrderPlaced" or kind is None:
            self.placed_at.setdefault(order_id, message.timestamp()[1])
        elif kind in ("OrderCompleted", "OrderCancelled"):
            self.repeats += order_id in self.ended
            self.ended.setdefault(order_id, fields.get("reason") or "COMPLETED")
            self.ended_at.setdefault(order_id, message.timestamp()[1])
