"""How far an audit reads, taken once, so that it can be exact while workers go on.

Three cuts, one after the other: what the group has *committed* must have had all its consequences; what is *found* in
a topic up to the second cut must be explained by records up to the third, the *end*. A record and its consequence can
never be on the wrong sides of such a pair of cuts, since a cause is written before its effect.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from saga_app import topics
from saga_app.kafka import offsets
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import committed
from saga_app.settings import Settings

Offsets = Mapping[Place, int]


class CannotTell(Exception):
    """What was asked for is not in the topics any more; the message says what is, and what to do."""


class Cut(StrEnum):
    """What the ends of the inboxes are."""

    NOW = "now"
    #: A moment: no effect is read without its cause.
    TIME = "time"
    #: One offset for all partitions, which says nothing about causes.
    OFFSET = "offset"


class Limits(NamedTuple):
    """Offsets of inbox partitions; of changelogs and dead letters, `found`, `first` and `known` only."""

    first: Offsets
    committed: Offsets
    found: Offsets
    end: Offsets
    #: How far a checkpoint knows each of them; nothing without one.
    known: Offsets
    cut: Cut = Cut.NOW

    def start(self, place: Place) -> int:
        """Where the audit goes on: behind what the checkpoint knows, or at the first record of all."""
        return self.known.get(place, 0)

    def is_whole(self, place: Place) -> bool:
        """Whether every record of the inbox partition is there or known, so that it can be folded."""
        return self.first[place] <= self.start(place)

    @property
    def are_whole(self) -> bool:
        """Whether every inbox is."""
        return all(self.is_whole(place) for place in self.end)

    @property
    def reached(self) -> dict[Place, int]:
        """How far this audit knows everything, when it is over."""
        return {**self.found, **self.end}

    def gap(self, place: Place) -> str:
        """Which records of an inbox partition are neither there nor known, in words."""
        where, first = f"{place[0]}[{place[1]}] begins at offset {self.first[place]}", self.start(place)
        return f"{where}, and the checkpoint ends at {first}" if first else where


class AsOf(NamedTuple):
    """An earlier state: up to and with this moment, in milliseconds since 1970, or below this offset everywhere."""

    time: int | None = None
    offset: int | None = None


def inboxes(settings: Settings) -> list[Place]:
    """Every partition of the four inboxes."""
    return [(topic, partition) for topic in topics.INBOXES for partition in range(settings.partitions)]


class Identity(NamedTuple):
    """What tells these topics from others: the cluster's id, and Kafka's id of each topic by its name."""

    cluster: str
    topics: Mapping[str, str]


def identity(settings: Settings, tables: Iterable[str]) -> Identity:
    """Asks the broker. Raises `KafkaException`."""
    admin = AdminClient(settings.kafka)
    names = [*topics.INBOXES, *_logs(settings, tables)]
    return Identity(offsets.cluster_id(admin), offsets.topic_ids(admin, names))


def take(settings: Settings, tables: Iterable[str], known: Offsets | None = None) -> Limits:
    """The limits of an audit that begins now, where a checkpoint ended or at the beginning. Raises `KafkaException`."""
    admin = AdminClient(settings.kafka)
    places = inboxes(settings)
    logs = _logs(settings, tables)
    others = [(topic, partition) for topic in logs for partition in range(settings.partitions)]
    done = committed(admin, settings.app_id, places, offsets.TIMEOUT)
    found = offsets.readable_ends(admin, [*places, *others])
    end = offsets.readable_ends(admin, places)
    first = offsets.beginnings(admin, [*places, *others])
    return Limits(first, done, found, end, known or {})


def take_at(settings: Settings, tables: Iterable[str], at: AsOf, known: Offsets | None = None) -> Limits:
    """The limits of an audit of an earlier state. Raises `KafkaException`, `CannotTell` where it is not there."""
    limits = _earlier(settings, take(settings, tables, known), at)
    for place, end in limits.end.items():
        if not limits.is_whole(place):
            raise CannotTell(f"{limits.gap(place)}: an earlier state cannot be folded any more")
        if end < limits.start(place):
            raise CannotTell(
                f"the checkpoint ends at offset {limits.start(place)} of {place[0]}[{place[1]}], behind the state "
                "asked for; where the inboxes are still whole, ask again without --checkpoint"
            )
    return limits


def _earlier(settings: Settings, now: Limits, at: AsOf) -> Limits:
    if at.time is None:
        ends = {place: min(end, at.offset or 0) for place, end in now.end.items()}
        return now._replace(found={**now.found, **ends}, end=ends, cut=Cut.OFFSET)
    after = offsets.after(AdminClient(settings.kafka), now.end, at.time)
    ends = {place: min(end, after.get(place, end)) for place, end in now.end.items()}
    return now._replace(found={**now.found, **ends}, end=ends, cut=Cut.TIME)


def _logs(settings: Settings, tables: Iterable[str]) -> list[str]:
    """Dead letters and changelogs."""
    return [topics.DEAD_LETTERS, *(topics.changelog(settings.app_id, table) for table in tables)]
