"""Reads the workers' group, the inboxes and the lag of the copy from the broker, within some seconds."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

import tables
from saga_app import topics
from saga_app.health.readings import CopyReading, InboxPartition, KafkaReading
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.consumer_group import ConsumerGroup, committed_of, outsider
from saga_app.kafka.messages import Place
from saga_app.kafka.open_transactions import times_at
from saga_app.kafka.reachable import refusals
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.kafka.topic_faults import is_wrong_count
from saga_app.settings import Settings
from saga_app.times import now
from saga_app.topics import Topic

#: Seconds for each answer of the broker, and for the first records of all partitions.
ANSWER: Final = 2.0
#: Seconds for which a group must stay settled to count as such: one whose workers end again and again settles between.
STEADY: Final = 10.0


class FirstRecord(NamedTuple):
    """Offset and time of a record."""

    offset: int
    time: int


class Steadiness:
    """Remembers since when a group has not stayed settled."""

    def __init__(self) -> None:
        self._unsettled_since: int | None = None
        self._settled_since: int | None = None

    def see(self, at: int, *, is_settled: bool) -> int | None:
        """The time (milliseconds) since when it has not stayed settled; None if it does."""
        if not is_settled:
            self._settled_since = None
            self._unsettled_since = at if self._unsettled_since is None else self._unsettled_since
        else:
            self._settled_since = at if self._settled_since is None else self._settled_since
            if at - self._settled_since >= STEADY * 1000:
                self._unsettled_since = None
        return self._unsettled_since


class BrokerReader:
    """Reads again and again over the same connections. Methods block, and are called from one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: Admin | None = None
        self._consumer: Consumer | None = None
        self._steadiness = Steadiness()
        self._wanted = tables.wanted_topics(settings)

    def read(self, sources: Iterable[str], copied: Mapping[Place, int] | None) -> KafkaReading:
        """The reading; `copied` is the position of the copy of the topics `sources`.

        Raises `BrokerUnreachable` and `KafkaException`; then it connects anew the next time.
        """
        try:
            if refused := refusals(self._settings):
                raise BrokerUnreachable("; ".join(refused))
            return self._read(sources, copied)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives up the connections."""
        consumer, self._consumer, self._admin = self._consumer, None, None
        if consumer is not None:
            consumer.close()

    def _read(self, sources: Iterable[str], copied: Mapping[Place, int] | None) -> KafkaReading:
        admin = self._admin = self._admin or Admin(self._settings)
        existing = admin.list_topics(timeout=ANSWER).topics
        inboxes = _places(existing, topics.INBOXES)
        both = [*inboxes, *_places(existing, [name for name in sources if name not in topics.INBOXES])]
        members = ConsumerGroup(self._settings, admin, ANSWER).members()
        taken = committed_of(self._connected(), inboxes, ANSWER) if inboxes else {}
        first = offsets.beginnings(admin, both, ANSWER)
        ends = offsets.ends(admin, inboxes, ANSWER)
        readable = offsets.readable_ends(admin, both, ANSWER)
        held = times_at(
            self._settings, {place: readable[place] for place in inboxes if ends[place] > readable[place]}
        )
        waiting = self._first(taken, first, readable)
        behind = (
            None if copied is None else self._first(dict.fromkeys(both, 0) | dict(copied), first, readable)
        )
        partitions = [
            InboxPartition(
                *place,
                members.owners.get(place),
                ends[place] - first[place],
                readable[place] - waiting[place].offset if place in waiting else 0,
                waiting[place].time or None if place in waiting else None,
                max(0, ends[place] - readable[place]),
                None if behind is None else readable[place] - behind[place].offset if place in behind else 0,
                held.get(place),
            )
            for place in inboxes
        ]
        return KafkaReading(
            members,
            partitions,
            None if behind is None else _copy(behind, readable),
            self._steadiness.see(now(), is_settled=members.is_settled),
            "; ".join(_wrong(existing, self._wanted, leaves_added=self._settings.leaves_added_partitions)),
        )

    def _connected(self) -> Consumer:
        self._consumer = self._consumer or outsider(
            self._settings,
            self._settings.app_id,
            **{
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "fetch.message.max.bytes": 16 * 1024,
                "queued.max.messages.kbytes": 1024,
            },
        )
        return self._consumer

    def _first(
        self, positions: Mapping[Place, int], first: Mapping[Place, int], ends: Mapping[Place, int]
    ) -> dict[Place, FirstRecord]:
        """The first record at or after each position; left out where there is none, only markers of transactions.

        A partition that has not answered in time is taken to have a record there, of an unknown time (0).
        """
        left = {
            place: max(first[place], position)
            for place, position in positions.items()
            if place in ends and max(first[place], position) < ends[place]
        }
        found: dict[Place, FirstRecord] = {}
        if not left:
            return found
        consumer = self._connected()
        consumer.assign([TopicPartition(*place, offset) for place, offset in left.items()])
        end = time.monotonic() + ANSWER
        while left and time.monotonic() < end:
            for message in consumer.consume(500, 0.1):
                place = (message.topic(), message.partition())
                if place not in left:
                    continue
                if message.error() is None:
                    found[place] = FirstRecord(message.offset(), message.timestamp()[1])
                elif message.error().code() != KafkaError._PARTITION_EOF:
                    continue
                del left[place]
        consumer.unassign()
        return found | {place: FirstRecord(offset, 0) for place, offset in left.items()}


def _places(existing: Mapping[str, Any], names: Iterable[str]) -> list[Place]:
    """Every partition that the broker has of these topics."""
    return [(name, each) for name in names if name in existing for each in sorted(existing[name].partitions)]


def _wrong(existing: Mapping[str, Any], wanted: Iterable[Topic], *, leaves_added: bool) -> Iterator[str]:
    """The topics that are missing or have a wrong number of partitions, in words."""
    for topic in wanted:
        count = len(existing[topic.name].partitions) if topic.name in existing else 0
        if not count:
            yield f"{topic.name} is missing"
        elif is_wrong_count(topic, count, leaves_added=leaves_added):
            yield f"{topic.name} has {count} partitions, not {topic.partitions}"


def _copy(behind: Mapping[Place, FirstRecord], ends: Mapping[Place, int]) -> CopyReading:
    times = [record.time for record in behind.values() if record.time]
    by_topic = dict.fromkeys((topic for topic, _ in ends), 0)
    for place, record in behind.items():
        by_topic[place[0]] += ends[place] - record.offset
    return CopyReading(by_topic, min(times, default=None))
