"""The strip: readings in a few words, with a level. It is on every page, and a line of every list command."""

from collections.abc import Iterator
from datetime import UTC, tzinfo
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from saga_app.effects.reading import EffectsReading
from saga_app.engine.exit_codes import OF_WORKERS, meaning
from saga_app.health.readings import DatabaseReading, InboxPartition, KafkaReading, Readings
from saga_app.kafka.repeated_ends import RepeatedEnds
from saga_app.times import clock
from saga_app.topics import INBOXES

#: Seconds that a record may wait for a worker or for the copy: it is slow after the first, wrong after the second,
#: which is also the first deadline of an order.
SLOW: Final = 10.0
LATE: Final = 30.0
#: Seconds without a sign of `saga orderdb run`, which gives one every two seconds, after which nobody copies.
COPIER_SILENT: Final = 10.0
#: Seconds for which a group may rebalance: a restart of workers one by one takes less.
UNSETTLED: Final = 60.0
#: Seconds after which readings are old: a fresh one takes less, also if nobody answers.
OLD: Final = 8.0
#: The next steps for signs that are not well.
START: Final = "start one: faust -A saga_app worker -l info"
FIND_REBALANCES: Final = "docs/how-to/alerts.md#rebalances-often says where to look"
LOOK_AT_THE_END: Final = "its log has the reason, docs/reference/exit-codes.md the remedy"
LOOK_AT_PROVIDERS: Final = "`saga effects` lists what waits; docs/how-to/settle-doubt.md says what to do"
END_TRANSACTION: Final = "docs/how-to/end-a-transaction.md says how to end it"


class Level(StrEnum):
    """The level of a sign; the order is the order of seriousness."""

    WELL = "well"
    WARN = "warn"
    BAD = "bad"


class Sign(NamedTuple):
    """One thing that was read, its level and its words; and the next step for who looks closer, if there is one."""

    what: str
    level: Level
    words: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """The sign for machines."""
        return {"what": self.what, "level": self.level.value, "words": self.words}


class Strip(NamedTuple):
    """All signs."""

    signs: tuple[Sign, ...]

    @property
    def level(self) -> Level:
        """The most serious level of a sign."""
        return max((sign.level for sign in self.signs), key=list(Level).index)

    @property
    def trouble(self) -> tuple[Sign, ...]:
        """The signs that are not well."""
        return tuple(sign for sign in self.signs if sign.level is not Level.WELL)

    @property
    def shown(self) -> tuple[Sign, ...]:
        """The trouble if there is any; else everything, with one sign for all inboxes."""
        inboxes = [sign for sign in self.signs if sign.what in INBOXES]
        others = tuple(sign for sign in self.signs if sign.what not in INBOXES)
        taken = (Sign("inboxes", Level.WELL, "records are taken as they come"),) if inboxes else ()
        return self.trouble or (*others[:1], *taken, *others[1:])

    def in_words(self) -> str:
        """The signs that are shown."""
        return "; ".join(sign.words for sign in self.shown)

    def as_json(self) -> dict[str, Any]:
        """The strip for machines."""
        return {"level": self.level.value, "signs": [sign.as_json() for sign in self.signs]}


def strip(readings: Readings | None, now: int, zone: tzinfo = UTC) -> Strip:
    """The strip of these readings at `now`, in milliseconds, with times in this zone."""
    if readings is None:
        return Strip((Sign("health", Level.WARN, "health is not known yet"),))
    return Strip(tuple(_signs(readings, now, zone)))


def _signs(readings: Readings, now: int, zone: tzinfo) -> Iterator[Sign]:
    if (age := _seconds(readings.at, now)) > OLD:
        yield Sign("health", Level.BAD, f"health was last read {age:.0f} s ago")
    if readings.kafka is None:
        yield Sign("Kafka", Level.BAD, f"Kafka does not answer: {readings.kafka_fault}")
    else:
        yield from _workers(readings.kafka, now)
    if readings.all_effects is not None:
        yield from _effects(readings.all_effects)
    if readings.database is None:
        level = Level.WARN if readings.is_without_database else Level.BAD
        yield Sign("order database", level, f"no order database: {readings.database_fault}")
    else:
        yield from _copy(readings.database, readings.kafka, now, zone)


def _workers(kafka: KafkaReading, now: int) -> Iterator[Sign]:
    number, state = kafka.members.number, kafka.members.state
    if not number:
        yield Sign("workers", Level.BAD, "no worker runs", START)
    else:
        yield _group(f"{number} worker{'s' if number > 1 else ''}", state, kafka.unsettled_since, now)
    for host, ends in kafka.members.ends.items():
        if ends.is_fresh(now):
            yield Sign("ends", Level.BAD, f"a worker on {host} {_repeated(ends, now)}", LOOK_AT_THE_END)
    if kafka.wrong_topics:
        yield Sign("topics", Level.BAD, kafka.wrong_topics)
    for topic, partitions in groupby(kafka.inboxes, attrgetter("topic")):
        yield _inbox(topic, list(partitions), now, is_served=number > 0)


def _group(words: str, state: str, since: int | None, now: int) -> Sign:
    if since is not None and (age := _seconds(since, now)) > UNSETTLED:
        words = f"{words}, and the group has not settled for {age:.0f} s"
        return Sign("workers", Level.BAD, words, FIND_REBALANCES)
    if state == "stable":
        return Sign("workers", Level.WELL, words)
    return Sign("workers", Level.WARN, f"{words}, {state}", FIND_REBALANCES)


def _repeated(ends: RepeatedEnds, now: int) -> str:
    known = meaning(ends.code, OF_WORKERS)
    name = "" if known is None else f" ({known.name})"
    return (
        f"ends again and again: {ends.times} times, the last one {_seconds(ends.at, now):.0f} s ago with exit code "
        f"{ends.code}{name}"
    )


def _inbox(topic: str, partitions: list[InboxPartition], now: int, *, is_served: bool) -> Sign:
    lag, held = sum(each.lag for each in partitions), sum(each.held for each in partitions)
    since = min((each.since for each in partitions if each.since is not None), default=None)
    level, words, remedy = Level.WELL, [], ""
    if lag:
        level = _level(since, now) if is_served else Level.BAD
        words.append(f"{lag:,} not taken{_age(since, now, 'the oldest for ')}")
    if held:
        opened = min((each.held_since for each in partitions if each.held_since is not None), default=None)
        # A lag of nothing says nothing here: the records are there, and nobody may read them.
        level = max(level, _level(opened, now), Level.WARN, key=list(Level).index)
        words.append(f"{held:,} behind an open transaction{_age(opened, now, 'for ')}")
        remedy = END_TRANSACTION
    return Sign(topic, level, f"{topic}: {', '.join(words) or 'all taken'}", remedy)


def _effects(found: EffectsReading) -> Iterator[Sign]:
    if words := found.in_words():
        yield Sign("effects", Level.BAD, words, LOOK_AT_PROVIDERS)
    elif words := found.waiting(int(LATE * 1000)):
        yield Sign("effects", Level.WARN, words, LOOK_AT_PROVIDERS)
    elif found.providers:
        yield Sign("effects", Level.WELL, f"providers answer: {', '.join(found.providers)}")


def _copy(database: DatabaseReading, kafka: KafkaReading | None, now: int, zone: tzinfo) -> Iterator[Sign]:
    alive_at, copy = database.alive_at, None if kafka is None else kafka.copy
    if alive_at is None or _seconds(alive_at, now) > COPIER_SILENT:
        when = "" if alive_at is None else f" since {clock(alive_at, now, zone)}"
        yield Sign(
            "copier", Level.BAD, f"nobody copies to the order database{when}: start `saga orderdb run`"
        )
    if copy is not None and copy.records:
        words = f"the copy is {copy.records:,} records{_age(copy.since, now)} behind"
        yield Sign("copy", _level(copy.since, now), words)
    elif copy is not None:
        yield Sign("copy", Level.WELL, "the copy has everything")


def _level(since: int | None, now: int) -> Level:
    age = 0.0 if since is None else _seconds(since, now)
    return Level.BAD if age > LATE else Level.WARN if age > SLOW else Level.WELL


def _age(since: int | None, now: int, prefix: str = "") -> str:
    return "" if since is None else f", {prefix}{_seconds(since, now):.0f} s"


def _seconds(since: int, now: int) -> float:
    return max(0, now - since) / 1000
