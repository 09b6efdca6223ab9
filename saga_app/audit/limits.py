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
from saga_app.durable import changelogs
from saga_app.durable.committed import committed
from saga_app.durable.ports import Place
from saga_app.settings import Settings

Offsets = Mapping[Place, int]


class Cut(StrEnum):
    """What the ends of the inboxes are."""

    NOW = "now"
    #: A moment: no effect is read without its cause.
    TIME = "time"
    #: One offset for all partitions, which says nothing about causes.
    OFFSET = "offset"


class Limits(NamedTuple):
    """Offsets of inbox partitions; of changelogs and dead letters, `found` and `first` only."""

    first: Offsets
    committed: Offsets
    found: Offsets
    end: Offsets
    cut: Cut = Cut.NOW

    def is_whole(self, place: Place) -> bool:
        """Whether the inbox partition is there from its first record on, so that it can be folded again."""
        return self.first[place] == 0

    @property
    def are_whole(self) -> bool:
        """Whether every inbox is."""
        return all(self.first[place] == 0 for place in self.end)


class At(NamedTuple):
    """An earlier state: up to and with this moment, in milliseconds since 1970, or below this offset everywhere."""

    time: int | None = None
    offset: int | None = None


def inboxes(settings: Settings) -> list[Place]:
    """Every partition of the four inboxes."""
    return [(topic, partition) for topic in topics.INBOXES for partition in range(settings.partitions)]


def take(settings: Settings, tables: Iterable[str]) -> Limits:
    """The limits of an audit that begins now. Raises `KafkaException`."""
    admin = AdminClient(settings.kafka)
    places = inboxes(settings)
    logs = [topics.DEAD_LETTERS, *(topics.changelog(settings.app_id, table) for table in tables)]
    others = [(topic, partition) for topic in logs for partition in range(settings.partitions)]
    done = committed(admin, settings.app_id, places, changelogs.PATIENCE)
    found = changelogs.readable_ends(admin, [*places, *others])
    end = changelogs.readable_ends(admin, places)
    return Limits(changelogs.beginnings(admin, [*places, *others]), done, found, end)


def take_at(settings: Settings, tables: Iterable[str], at: At) -> Limits:
    """The limits of an audit of an earlier state. Raises `KafkaException`."""
    now = take(settings, tables)
    if at.time is None:
        ends = {place: min(end, at.offset or 0) for place, end in now.end.items()}
        return now._replace(found={**now.found, **ends}, end=ends, cut=Cut.OFFSET)
    after = changelogs.after(AdminClient(settings.kafka), now.end, at.time)
    ends = {place: min(end, after.get(place, end)) for place, end in now.end.items()}
    return now._replace(found={**now.found, **ends}, end=ends, cut=Cut.TIME)
