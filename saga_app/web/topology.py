"""The topology: services with their inboxes, and workers with what they own, from a reading of Kafka."""

from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from saga_app.core.records import StepName
from saga_app.core.route import STEPS
from saga_app.health.readings import InboxPartition, KafkaReading
from saga_app.topics import INBOXES


class ServiceBox(NamedTuple):
    """A service, its inbox, and the sums of its partitions; `since` is the time of the oldest untaken record."""

    name: str
    topic: str
    partitions: list[InboxPartition]
    records: int
    lag: int
    behind: int | None
    since: int | None
    workers: int


class Worker(NamedTuple):
    """A member of the group: its address and start if it tells them, its partitions by inbox, their untaken records.

    `started` is in milliseconds since 1970.
    """

    name: str
    address: str | None
    started: int | None
    partitions: Counter[str]
    lag: int


def services(found: KafkaReading) -> list[ServiceBox]:
    """The services, in the sequence of the route; those whose inbox is missing are left out."""
    by_topic = {topic: list(each) for topic, each in groupby(found.inboxes, attrgetter("topic"))}
    # Both name the services in the sequence of the route.
    pairs = zip((StepName.CHECKOUT, *(step.name for step in STEPS)), INBOXES, strict=True)
    return [_service(name.value, topic, by_topic[topic]) for name, topic in pairs if topic in by_topic]


def workers(found: KafkaReading, started: Mapping[str, int]) -> list[Worker]:
    """The members that own a partition, by name; `started` has the start of each that tells it."""
    named = sorted({each.owner for each in found.inboxes if each.owner is not None})
    return [_worker(name, found, started.get(name)) for name in named]


def _service(name: str, topic: str, partitions: list[InboxPartition]) -> ServiceBox:
    behind = [each.behind for each in partitions]
    return ServiceBox(
        name,
        topic,
        partitions,
        sum(each.records for each in partitions),
        sum(each.lag for each in partitions),
        None if None in behind else sum(each for each in behind if each is not None),
        min((each.since for each in partitions if each.since is not None), default=None),
        len({each.owner for each in partitions if each.owner is not None}),
    )


def _worker(name: str, found: KafkaReading, started: int | None) -> Worker:
    own = [each for each in found.inboxes if each.owner == name]
    return Worker(
        name,
        found.members.addresses.get(name),
        started,
        Counter(each.topic for each in own),
        sum(each.lag for each in own),
    )
