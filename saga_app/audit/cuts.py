"""The offsets up to which an audit reads. They are taken once, so the audit is exact while workers go on.

There are three cuts, taken one after the other. Every record below the first cut, the *committed* offset, must have all
its consequences. Every record up to the second cut, *found*, must have a cause below the third cut, the *end*. A cause
is written before its consequence, so a pair is never on the wrong sides of two cuts.
"""

import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from confluent_kafka.admin import AdminClient

from saga_app import topics
from saga_app.core.numbers import FIRST, Offset
from saga_app.kafka import offsets
from saga_app.kafka.consumer_group import committed
from saga_app.kafka.messages import Place
from saga_app.kafka.topic_faults import FIXED
from saga_app.settings import Settings

Offsets = Mapping[Place, Offset]


class CannotTell(Exception):
    """The topics no longer have the state that was asked for; the message says what they have, and what to do."""


class CutKind(StrEnum):
    """How the ends of the inboxes were chosen."""

    NOW = "now"
    #: One moment for all partitions: no consequence is read without its cause.
    TIME = "time"
    #: One offset for all partitions: a consequence may be read without its cause.
    OFFSET = "offset"


#: Offsets of all inboxes together that one process reads within some seconds.
FEW: Final = 20_000


class Limits(NamedTuple):
    """Offsets by partition. Inboxes have all of them; the other topics only `first`, `found` and `known`."""

    first: Offsets
    committed: Offsets
    found: Offsets
    end: Offsets
    #: How far the checkpoint has read each partition; empty without one.
    known: Offsets
    cut: CutKind = CutKind.NOW

    def start(self, place: Place) -> Offset:
        """The offset at which the audit begins: where the checkpoint ended, or 0."""
        return self.known.get(place, FIRST)

    def is_whole(self, place: Place) -> bool:
        """True if the inbox partition can be folded: the checkpoint or the topic has every record."""
        return self.first[place] <= self.start(place)

    @property
    def are_whole(self) -> bool:
        """True if every inbox partition is whole."""
        return all(self.is_whole(place) for place in self.end)

    @property
    def reached(self) -> dict[Place, Offset]:
        """How far this audit has read each partition at its end."""
        return {**self.found, **self.end}

    def processes(self, asked: int | None) -> int:
        """So many as were asked for; else one for each core, or one for few records: a second one starts for longer."""
        return asked or (1 if sum(self.end.values()) < FEW else os.cpu_count() or 1)

    def gap(self, place: Place) -> str:
        """Says which records of an inbox partition are missing."""
        where, first = f"{place[0]}[{place[1]}] begins at offset {self.first[place]}", self.start(place)
        return f"{where}, and the checkpoint ends at {first}" if first else where


class AsOf(NamedTuple):
    """An earlier state: all records up to `time` (milliseconds since 1970, inclusive), or below `offset`."""

    time: int | None = None
    offset: Offset | None = None


def inboxes(settings: Settings) -> list[Place]:
    """Every partition of the four inboxes."""
    return [(topic, partition) for topic in topics.INBOXES for partition in range(settings.partitions)]


class Identity(NamedTuple):
    """The cluster's id, and Kafka's id of each topic by its name: no other topics have the same."""

    cluster: str
    topics: Mapping[str, str]


def identity(settings: Settings, tables: Iterable[str]) -> Identity:
    """Asks the broker about all topics that an audit reads. Raises `KafkaException`."""
    return identity_of(settings, [*topics.INBOXES, *_others(settings, tables)])


def identity_of(settings: Settings, names: Iterable[str]) -> Identity:
    """Asks the broker about these topics. Raises `KafkaException`."""
    admin = AdminClient(settings.kafka)
    return Identity(offsets.cluster_id(admin), offsets.topic_ids(admin, names))


def take(settings: Settings, tables: Iterable[str], known: Offsets | None = None) -> Limits:
    """The limits of an audit of the present state. Raises `KafkaException`."""
    admin = AdminClient(settings.kafka)
    places = inboxes(settings)
    logs = _others(settings, tables)
    others = [(topic, partition) for topic in logs for partition in range(settings.partitions)]
    done = committed(settings, settings.app_id, places, offsets.TIMEOUT)
    found = offsets.readable_ends(admin, [*places, *others])
    end = offsets.readable_ends(admin, places)
    first = offsets.beginnings(admin, [*places, *others])
    return Limits(first, done, found, end, known or {})


def unread(settings: Settings, tables: Iterable[str]) -> dict[Place, int]:
    """The partitions that the broker has and no worker reads, with the records in each.

    Raises `KafkaException`, and `CannotTell` if a topic has fewer than the settings say.
    """
    admin = AdminClient(settings.kafka)
    names = [*topics.INBOXES, *_others(settings, tables)]
    counts = offsets.partition_counts(admin, names)
    for name, count in counts.items():
        if count < settings.partitions:
            raise CannotTell(f"{name} has {count} partitions, not {settings.partitions}; {FIXED}")
    added = offsets.added(admin, counts, settings.partitions)
    return {place: each.records for place, each in added.items()}


def take_at(settings: Settings, tables: Iterable[str], at: AsOf, known: Offsets | None = None) -> Limits:
    """The limits of an audit of an earlier state. Raises `KafkaException`, and `CannotTell` if it is not there."""
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
        ends = {place: min(end, at.offset or FIRST) for place, end in now.end.items()}
        return now._replace(found={**now.found, **ends}, end=ends, cut=CutKind.OFFSET)
    after = offsets.after(AdminClient(settings.kafka), now.end, at.time)
    ends = {place: min(end, after.get(place, end)) for place, end in now.end.items()}
    return now._replace(found={**now.found, **ends}, end=ends, cut=CutKind.TIME)


def read_whole(settings: Settings, tables: Iterable[str]) -> list[str]:
    """The compacted topics: each audit reads them from their beginning."""
    return [topics.ORDER_OUTCOMES, *changelogs(settings, tables)]


def _others(settings: Settings, tables: Iterable[str]) -> list[str]:
    """The topics that are no inboxes."""
    return [topics.DEAD_LETTERS, *read_whole(settings, tables)]


def changelogs(settings: Settings, tables: Iterable[str]) -> list[str]:
    """The changelogs of these tables."""
    return [topics.changelog(settings.app_id, table) for table in tables]
