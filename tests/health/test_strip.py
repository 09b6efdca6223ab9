"""The strip: a few words and a level from readings."""

from dataclasses import dataclass, replace

import pytest

from saga_app import topics
from saga_app.effects.reading import EffectsReading
from saga_app.health.readings import CopyReading, DatabaseReading, InboxPartition, KafkaReading, Readings
from saga_app.health.strip import COPIER_SILENT, LATE, OLD, SLOW, Level, strip
from saga_app.kafka.consumer_group import Members
from saga_app.kafka.repeated_ends import FRESH, RepeatedEnds

NOW = 1_700_000_000_000


@dataclass(frozen=True)
class Given:
    """A system; ages are in seconds."""

    workers: int = 1
    state: str = "stable"
    unsettled: float | None = None
    ends: RepeatedEnds | None = None
    wrong_topics: str = ""
    lag: int = 0
    waits: float | None = None
    held: int = 0
    held_for: float = 0.0
    behind: int = 0
    copy_waits: float | None = None
    copier_silent: float | None = 1.0
    has_kafka: bool = True
    has_database: bool = True

    def readings(self) -> Readings:
        """The readings of one inbox with one partition."""
        opened = _ago(self.held_for) if self.held else None
        inbox = InboxPartition(topics.CHECKOUT, 0, None, 9, self.lag, _ago(self.waits), self.held, 0, opened)
        copy = CopyReading({topics.PAYMENT: self.behind}, _ago(self.copy_waits))
        members = Members(self.workers, self.state, [], {}, {"host-1": self.ends} if self.ends else {})
        kafka = KafkaReading(members, [inbox], copy, _ago(self.unsettled), self.wrong_topics)
        return Readings(
            NOW,
            kafka if self.has_kafka else None,
            "" if self.has_kafka else "refused",
            DatabaseReading({}, _ago(self.copier_silent), 0) if self.has_database else None,
            "" if self.has_database else "no such host",
        )


def _ago(seconds: float | None) -> int | None:
    return None if seconds is None else int(NOW - seconds * 1000)


WELL = Given()


def with_effects(own: EffectsReading | None, copied: EffectsReading | None) -> Readings:
    """Readings of a worker that has providers, or of a program that has none."""
    readings = WELL.readings()
    assert readings.database is not None
    return readings._replace(effects=own, database=readings.database._replace(effects=copied))


NOTHING = EffectsReading({}, {}, {}, {}, ())
WAITS = NOTHING._replace(asked={"stripe": 4}, oldest={"stripe": 45_000})
DOUBT = WAITS._replace(in_doubt={"stripe": 2}, oldest={"stripe": 400_000})


def test_providers_that_answer_are_named_by_the_worker_that_has_them() -> None:
    found = strip(with_effects(NOTHING._replace(providers=("courier", "stripe")), NOTHING), NOW)
    assert found.level is Level.WELL and "providers answer: courier, stripe" in found.in_words()
    assert "providers" not in strip(with_effects(None, NOTHING), NOW).in_words()


def test_effects_that_wait_are_told_by_age_also_where_no_provider_is_set() -> None:
    found = strip(with_effects(None, WAITS), NOW)
    assert (found.level, found.in_words()) == (Level.WARN, "4 effects wait for stripe, the oldest for 45 s")
    found = strip(with_effects(None, DOUBT), NOW)
    assert found.level is Level.BAD
    assert found.in_words() == "2 effects at stripe are in doubt, the oldest for 400 s"


def test_a_worker_tells_the_doubts_of_all_partitions_and_its_own_open_breaker() -> None:
    found = strip(with_effects(NOTHING._replace(open=("stripe",), providers=("stripe",)), DOUBT), NOW)
    assert found.level is Level.BAD
    assert found.in_words() == "provider stripe does not answer, and 4 effects wait"


def test_a_system_in_which_all_is_well_says_so_in_three_signs() -> None:
    found = strip(WELL.readings(), NOW)
    assert (found.level, found.trouble) == (Level.WELL, ())
    assert found.in_words() == "1 worker; records are taken as they come; the copy has everything"


@pytest.mark.parametrize(
    ("given", "level", "words"),
    [
        (replace(WELL, workers=0), Level.BAD, "no worker runs"),
        (
            replace(WELL, workers=0, lag=2, waits=3),
            Level.BAD,
            "no worker runs; checkout_events: 2 not taken, the oldest for 3 s",
        ),
        (replace(WELL, state="preparing a rebalance"), Level.WARN, "1 worker, preparing a rebalance"),
        (
            replace(WELL, state="preparing a rebalance", unsettled=61),
            Level.BAD,
            "1 worker, and the group has not settled for 61 s",
        ),
        (replace(WELL, unsettled=61), Level.BAD, "1 worker, and the group has not settled for 61 s"),
        (
            replace(WELL, ends=RepeatedEnds(4, 70, NOW - 9_000)),
            Level.BAD,
            "a worker on host-1 ends again and again: 4 times, the last one 9 s ago with exit code 70 (ROUND_FAILED)",
        ),
        (
            replace(WELL, ends=RepeatedEnds(4, 70, NOW - FRESH)),
            Level.WELL,
            "1 worker; records are taken as they come; the copy has everything",
        ),
        (
            replace(WELL, wrong_topics="dead_letters is missing"),
            Level.BAD,
            "dead_letters is missing",
        ),
        (
            replace(WELL, lag=9, waits=SLOW),
            Level.WELL,
            "1 worker; records are taken as they come; the copy has everything",
        ),
        (replace(WELL, lag=7, waits=SLOW + 1), Level.WARN, "checkout_events: 7 not taken, the oldest for 11 s"),
        (replace(WELL, lag=7, waits=LATE + 1), Level.BAD, "checkout_events: 7 not taken, the oldest for 31 s"),
        (replace(WELL, held=4), Level.WARN, "checkout_events: 4 behind an open transaction, for 0 s"),
        (
            replace(WELL, held=4, held_for=LATE + 1),
            Level.BAD,
            "checkout_events: 4 behind an open transaction, for 31 s",
        ),
        (
            replace(WELL, lag=7, waits=1, held=4),
            Level.WARN,
            "checkout_events: 7 not taken, the oldest for 1 s, 4 behind an open transaction, for 0 s",
        ),
        (
            replace(WELL, behind=5, copy_waits=2),
            Level.WELL,
            "1 worker; records are taken as they come; the copy is 5 records, 2 s behind",
        ),
        (replace(WELL, behind=5, copy_waits=LATE + 10), Level.BAD, "the copy is 5 records, 40 s behind"),
        (
            replace(WELL, copier_silent=COPIER_SILENT + 1),
            Level.BAD,
            "nobody copies to the order database since 22:13:09: start `saga orderdb run`",
        ),
        (
            replace(WELL, copier_silent=None),
            Level.BAD,
            "nobody copies to the order database: start `saga orderdb run`",
        ),
        (replace(WELL, has_kafka=False), Level.BAD, "Kafka does not answer: refused"),
        (replace(WELL, has_database=False), Level.BAD, "no order database: no such host"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_said_in_words(given: Given, level: Level, words: str) -> None:
    found = strip(given.readings(), NOW)
    assert (found.level, found.in_words()) == (level, words)


def test_who_wants_no_order_database_is_only_told() -> None:
    readings = replace(WELL, has_database=False).readings()._replace(is_without_database=True)
    assert strip(readings, NOW).level is Level.WARN


def test_readings_that_are_old_or_not_there_are_never_well() -> None:
    old = strip(WELL.readings(), NOW + int(OLD * 1000) + 1000)
    assert (old.level, old.in_words()) == (Level.BAD, "health was last read 9 s ago")
    assert strip(None, NOW).level is Level.WARN


def test_the_machine_s_form_has_every_sign() -> None:
    found = strip(replace(WELL, workers=0).readings(), NOW).as_json()
    assert found["level"] == "bad"
    assert found["signs"][0] == {"what": "workers", "level": "bad", "words": "no worker runs"}
