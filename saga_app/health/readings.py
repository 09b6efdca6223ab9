"""Readings of the system at one moment. `saga_app.health.strip` turns them into words."""

from collections.abc import Mapping
from typing import NamedTuple

from saga_app.effects.reading import EffectsReading
from saga_app.kafka.consumer_group import Members
from saga_app.kafka.messages import Place


class InboxPartition(NamedTuple):
    """One partition of an inbox: its worker, its records, and how many are not committed and not copied.

    `since` is the time of the oldest record that no worker has taken; `behind` is None if the order database cannot be
    read. `held` counts the records behind an open transaction: nobody may read them yet; `held_since` is the time
    of the first of them.
    """

    topic: str
    partition: int
    owner: str | None
    records: int
    lag: int
    since: int | None
    held: int
    behind: int | None
    held_since: int | None = None


class CopyReading(NamedTuple):
    """By topic, the number of records that are not copied; and the time of the oldest of them if it is known."""

    by_topic: Mapping[str, int]
    since: int | None

    @property
    def records(self) -> int:
        """The number of all topics."""
        return sum(self.by_topic.values())


class KafkaReading(NamedTuple):
    """The workers' group and every partition of every inbox; `copy` is None if the order database cannot be read.

    `unsettled_since` is the time from which on the group did not stay settled, as far as it was watched; `wrong_topics`
    names topics that are missing or have a wrong number of partitions.
    """

    members: Members
    inboxes: list[InboxPartition]
    copy: CopyReading | None
    unsettled_since: int | None = None
    wrong_topics: str = ""


class DatabaseReading(NamedTuple):
    """The position of the copy in each partition, and the time at which `saga orderdb run` last gave a sign.

    `dead_letters` counts those that are not settled; `effects` are those of all partitions.
    """

    copied: Mapping[Place, int]
    alive_at: int | None
    dead_letters: int
    effects: EffectsReading | None = None


class Readings(NamedTuple):
    """All readings, at `at` in milliseconds. If one is None, its fault says why, in one line."""

    at: int
    kafka: KafkaReading | None = None
    kafka_fault: str = ""
    database: DatabaseReading | None = None
    database_fault: str = ""
    #: True if there is no order database, or no package for it: not everybody wants one.
    is_without_database: bool = False
    #: Of this process's own dispatcher; None in a process that is no worker.
    effects: EffectsReading | None = None

    @property
    def all_effects(self) -> EffectsReading | None:
        """The effects as far as they are known here; None if nothing is."""
        copied = None if self.database is None else self.database.effects
        if self.effects is None or copied is None:
            return self.effects or copied
        return self.effects.with_all(copied)
