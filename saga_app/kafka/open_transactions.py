"""Records behind an open transaction: consumers of committed records wait before the first of them, with a lag of 0.

A producer that began a transaction and never ended it holds back every later record of the partition, until the broker
aborts it after the producer's `transaction.timeout.ms`.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.settings import Settings, readers_group

#: Seconds to wait for the first record of each transaction.
ANSWER: Final = 2.0


class HeldBack(NamedTuple):
    """Records of a partition behind its last stable offset; `since` is Kafka's time of the first, in milliseconds."""

    records: int
    since: int | None


def held_back(settings: Settings, places: Iterable[Place]) -> dict[Place, HeldBack]:
    """The partitions in which an open transaction holds records back. Raises `KafkaException`."""
    asked, admin = list(places), Admin(settings)
    # In this sequence: a record that is written meanwhile is not taken for one that is held.
    ends = offsets.ends(admin, asked)
    stable = offsets.readable_ends(admin, asked)
    found = {place: stable[place] for place in asked if ends[place] > stable[place]}
    times = times_at(settings, found)
    return {place: HeldBack(ends[place] - at, times.get(place)) for place, at in found.items()}


def times_at(settings: Settings, places: Mapping[Place, int]) -> dict[Place, int]:
    """Kafka's time of the record at each offset, committed or not; left out where no answer comes in time."""
    if not places:
        return {}
    consumer = Consumer(
        {
            **settings.kafka,
            "group.id": readers_group(settings.kafka),
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "fetch.message.max.bytes": 16 * 1024,
        }
    )
    found: dict[Place, int] = {}
    try:
        consumer.assign([TopicPartition(*place, offset) for place, offset in places.items()])
        end = time.monotonic() + ANSWER
        while len(found) < len(places) and time.monotonic() < end:
            for message in consumer.consume(100, 0.1):
                if message.error() is None:
                    found.setdefault((message.topic(), message.partition()), message.timestamp()[1])
    finally:
        consumer.close()
    return found
