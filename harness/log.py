"""The topics as they are: all messages, where they end, and how far the group has consumed them."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.kafka import offsets

#: Topic and partition.
Place = tuple[str, int]


def until(holds: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Looks until it holds. The error after the time tells the last observation."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what()}"
        time.sleep(0.05)


def everything(broker: str, topic: str, partitions: int) -> list[Any]:
    """All messages of a topic, as they are now, partition by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "tests",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        places = [TopicPartition(topic, each) for each in range(partitions)]
        marks = {place.partition: consumer.get_watermark_offsets(place, timeout=10) for place in places}
        left = {each: (low, high) for each, (low, high) in marks.items() if low < high}
        consumer.assign([TopicPartition(topic, each, low) for each, (low, _) in left.items()])
        found: dict[int, list[Any]] = {each: [] for each in range(partitions)}
        end = time.monotonic() + 60
        while left:
            assert time.monotonic() < end, f"{topic} could not be read: {left} is missing"
            for message in consumer.consume(2_000, 0.05):
                assert message.error() is None, message.error()
                partition = message.partition()
                if partition in left and message.offset() < left[partition][1]:
                    found[partition].append(message)
                    if message.offset() + 1 == left[partition][1]:
                        del left[partition]
        return [message for each in found.values() for message in each]
    finally:
        consumer.close()


def parsed(value: bytes | None) -> dict[str, Any]:
    """The fields of a record; none where it is no JSON object."""
    try:
        fields = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


class BrokerOffsets:
    """Offsets of the four inboxes and of the changelogs, asked of the broker."""

    def __init__(
        self, broker: str, app_id: str, partitions: int = topics.DEFAULT_PARTITIONS, log_level: int = 3
    ) -> None:
        self.broker = broker
        self.app_id = app_id
        self.partitions = partitions
        self._admin = AdminClient({"bootstrap.servers": broker, "log_level": log_level})
        self._inboxes = [(topic, each) for topic in topics.INBOXES for each in range(partitions)]

    def ends(self, places: Iterable[Place]) -> dict[Place, Offset]:
        """The offset after the last record of each."""
        return offsets.ends(self._admin, places)

    def committed(self) -> dict[Place, int]:
        """The group's committed offsets of the inboxes; 0 where there is none."""
        places = [TopicPartition(*place) for place in self._inboxes]
        asked = [ConsumerGroupTopicPartitions(self.app_id, places)]
        (answer,) = self._admin.list_consumer_group_offsets(asked, request_timeout=15).values()
        return {
            (place.topic, place.partition): max(place.offset, 0) for place in answer.result().topic_partitions
        }

    def lag(self) -> int:
        """Records in the inboxes that are not committed."""
        return self._behind(self._inboxes)

    def lag_of(self, topic: str) -> int:
        """The same, of one inbox."""
        return self._behind([place for place in self._inboxes if place[0] == topic])

    def inboxes(self) -> int:
        """Records in the four inboxes."""
        return sum(self.ends(self._inboxes).values())

    def rows(self, tables: Iterable[str]) -> dict[str, int]:
        """How many rows each changelog holds."""
        places = [
            (topics.changelog(self.app_id, table), each)
            for table in tables
            for each in range(self.partitions)
        ]
        count: dict[str, int] = {}
        for (topic, _), end in self.ends(places).items():
            count[topic] = count.get(topic, 0) + end
        return count

    def wait_until_quiet(self, seconds: float = 60) -> None:
        """Until everything in the inboxes is committed: nothing is on its way then.

        Committed offsets are taken first, the ends after them. Where both agree, nothing came between, and what
        is committed has had its consequences written before.
        """
        until(self.is_quiet, seconds, lambda: f"lag is still {self._lags()}")

    def is_quiet(self) -> bool:
        """True if nothing is on its way. False as long as the broker does not answer."""
        try:
            return self.lag() == 0
        except KafkaException:
            return False

    def _behind(self, places: list[Place]) -> int:
        committed = self.committed()
        ends = self.ends(places)
        return sum(end - committed[place] for place, end in ends.items())

    def _lags(self) -> dict[str, int]:
        return {topic: self.lag_of(topic) for topic in topics.INBOXES}
