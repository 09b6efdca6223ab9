"""Follows the checkout inbox without getting in the way: counts offsets while orders run, reads when they are done."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic_core import from_json

from harness.log import Place
from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.kafka import offsets
from saga_app.kafka.chunks import chunks
from saga_app.local.process import until

#: Seconds in which the records must be read that were counted, and any that a transaction still holds back.
GRACE: Final = 10.0


class TooSlow(Exception):
    """Orders that did not end in time; the message says how many and names some."""


@dataclass
class SeenOrders:
    """Times are the broker's, in milliseconds. How an order ended is a set, since that may be told twice."""

    placed_at: dict[str, int] = field(default_factory=dict)
    ended_at: dict[str, int] = field(default_factory=dict)
    endings: dict[str, set[str]] = field(default_factory=dict)
    repeats: int = 0

    def note(self, record: dict[str, Any], time: int) -> None:
        """One record of the inbox; there are others than an order's, such as those of retention."""
        if record["type"] == "OrderPlaced":
            self.placed_at.setdefault(record["order_id"], time)
        elif record["type"] in ("OrderCompleted", "OrderCancelled"):
            order = record["order_id"]
            self.repeats += order in self.endings
            self.endings.setdefault(order, set()).add(record.get("reason", "COMPLETED"))
            self.ended_at.setdefault(order, time)

    @property
    def seconds(self) -> float:
        """From the first placing to the last ending."""
        return (max(self.ended_at.values()) - min(self.placed_at.values())) / 1000

    @property
    def latencies(self) -> list[int]:
        """Milliseconds from each order's placing to its ending."""
        return [self.ended_at[order] - placed for order, placed in self.placed_at.items()]


class CheckoutWatch:
    """Reads the records that come into the checkout inbox from now on."""

    def __init__(self, broker: str, partitions: int = topics.DEFAULT_PARTITIONS) -> None:
        self._servers = {"bootstrap.servers": broker, "log_level": 3}
        self._admin = AdminClient(self._servers)
        self._places: list[Place] = [(topics.CHECKOUT, each) for each in range(partitions)]
        self._from = self._ends()

    def wait(self, orders: int, seconds: float) -> None:
        """Until the inbox has grown by so many orders and their endings, or the time is over."""
        until(lambda: sum(self._ends().values()) >= sum(self._from.values()) + 2 * orders, seconds)

    def read(self, orders: int) -> SeenOrders:
        """The records so far, as soon as so many orders have ended. Raises TooSlow if they do not within `GRACE`."""
        seen = SeenOrders()
        for record, appended in self._read(time.monotonic() + GRACE):
            seen.note(record, appended)
            if len(seen.ended_at) >= orders and len(seen.placed_at) >= orders:
                return seen
        missing = [order for order in seen.placed_at if order not in seen.ended_at]
        raise TooSlow(f"{len(seen.ended_at)} of {orders} orders ended in time; open are, e.g., {missing[:3]}")

    def _read(self, end: float) -> Iterator[tuple[dict[str, Any], int]]:
        settings = {"group.id": "bench", "enable.auto.commit": False, "fetch.wait.max.ms": 20}
        consumer = Consumer({**self._servers, **settings})
        try:
            consumer.assign([TopicPartition(*place, offset) for place, offset in self._from.items()])
            while time.monotonic() < end:
                for message in consumer.consume(5_000, 0.05):
                    if message.error() is None:
                        yield from_json(message.value()), message.timestamp()[1]
        finally:
            consumer.close()

    def _ends(self) -> dict[Place, Offset]:
        return offsets.ends(self._admin, self._places)


def compensations(broker: str, partitions: int = topics.DEFAULT_PARTITIONS) -> int:
    """How many undo step requests have been sent in all, in transactions that were committed or in none."""
    servers = {"bootstrap.servers": broker, "log_level": 3}
    places = [(inbox, each) for inbox in (topics.PAYMENT, topics.INVENTORY) for each in range(partitions)]
    kinds: Counter[str] = Counter()
    for place, end in offsets.readable_ends(AdminClient(servers), places).items():
        for chunk in chunks(servers, *place, 0, end, "read_committed"):
            kinds.update(from_json(message.value())["type"] for message in chunk)
    return kinds["RefundRequested"] + kinds["ReleaseRequested"]
