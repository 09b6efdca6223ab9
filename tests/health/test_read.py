"""Readings that stay fresh while somebody asks, and the line that commands print of them."""

import asyncio
import threading
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from harness.log import until
from saga_app.commands.health_line import health_watch, with_health
from saga_app.commands.render.output import FAILED, WRONG_INPUT, CommandFailed, one_line_errors
from saga_app.core.errors import Fault, Rejected
from saga_app.health import read
from saga_app.health.read import FRESH, HealthWatch
from saga_app.health.readings import Readings
from saga_app.settings import Settings
from saga_app.times import now
from tests.support.health import all_well

SETTINGS = Settings(broker="127.0.0.1:1")


class GivenReadings:
    """Answers of `read`, one after the other, each when it is let through; the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Readings | Exception] = []
        self.taken = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, *arguments: object) -> Readings:
        assert self.may_answer.wait(30)
        self.taken += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[GivenReadings]:
    given = GivenReadings()
    monkeypatch.setattr(read, "read", given)
    monkeypatch.setattr(read, "EVERY", 0.0)
    yield given
    given.may_answer.set()


@pytest.fixture
def watch() -> Iterator[HealthWatch]:
    watch = HealthWatch(SETTINGS)
    yield watch
    watch.close()


def old() -> Readings:
    return Readings(now() - int(FRESH * 1000) - 1)


def test_nobody_waits_for_the_last_reading(given: GivenReadings, watch: HealthWatch) -> None:
    given.may_answer.clear()
    given.answers = [all_well(SETTINGS)]
    assert watch.latest() is None
    given.may_answer.set()
    until(lambda: watch.latest() is given.answers[0], 10, lambda: "no reading")


def test_an_old_reading_is_taken_anew_before_it_is_given(given: GivenReadings, watch: HealthWatch) -> None:
    fresh = all_well(SETTINGS)
    given.answers = [old(), old(), fresh]
    assert watch.wait() is fresh and given.taken >= 3
    assert asyncio.run(watch.fresh()) is fresh, "a fresh one is given at once"


def test_a_watch_that_is_closed_just_when_it_was_asked_ends(given: GivenReadings, watch: HealthWatch) -> None:
    """The close comes between the question and its answer, when the thread has not yet looked for it."""
    given.may_answer.clear()
    given.answers = [all_well(SETTINGS)]
    watch.latest()
    until(lambda: not watch._asked.is_set(), 10, lambda: "nobody takes the question")
    watch.latest()
    watch.close()
    given.may_answer.set()
    assert watch._thread is not None
    watch._thread.join(10)
    assert not watch._thread.is_alive() and given.taken == 1


def test_the_last_reading_is_given_if_a_fresh_one_takes_too_long(
    given: GivenReadings, watch: HealthWatch
) -> None:
    given.answers = [before := old()]
    until(lambda: watch.latest() is before, 10, lambda: "no reading")
    given.may_answer.clear()
    assert asyncio.run(watch.fresh(0.2)) is before


def test_a_fault_of_the_reading_itself_ends_no_watch(given: GivenReadings, watch: HealthWatch) -> None:
    fresh = all_well(SETTINGS)
    given.answers = [RuntimeError("a fault of this program"), fresh]
    assert watch.wait() is fresh


def test_a_watch_that_is_closed_reads_no_more(given: GivenReadings, watch: HealthWatch) -> None:
    given.answers = [old()]
    until(lambda: watch.latest() is not None, 10, lambda: "no reading")
    thread = watch._thread
    assert thread is not None
    watch.close()
    thread.join(10)
    assert not thread.is_alive()


@click.command()
@click.argument("how", default="")
@with_health
@one_line_errors
def works(how: str) -> None:
    """A command with health."""
    Settings.read()
    assert health_watch() is health_watch()
    if how == "fails":
        raise CommandFailed("it did not work")
    if how == "refuses":
        raise Rejected(Fault.INVALID, "it was asked for too much")
    click.echo("done")


def ran(*words: str, **settings: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command with these words."""
    found = CliRunner(env={"SAGA_BROKER": SETTINGS.broker, **settings}).invoke(works, words)
    return found.exit_code, found.stdout, found.stderr


def without_workers() -> Readings:
    well = all_well(SETTINGS)
    assert well.kafka is not None
    return well._replace(kafka=well.kafka._replace(members=well.kafka.members._replace(number=0)))


NO_WORKER = "saga: not all is well: no worker runs\n"


def test_trouble_is_one_line_behind_what_the_command_says(given: GivenReadings) -> None:
    given.answers = [without_workers()]
    assert ran() == (0, "done\n", NO_WORKER)
    assert ran("fails") == (FAILED, "", f"saga: it did not work\n{NO_WORKER}"), "it may be why it failed"


def test_a_command_that_fails_says_nothing_of_a_kafka_that_does_not_answer(given: GivenReadings) -> None:
    """It has said so itself, where that is why it failed."""
    given.answers = [Readings(now(), None, "refused", None, "gone")]
    assert ran("fails") == (FAILED, "", "saga: it did not work\n")
    assert "Kafka does not answer: refused" in ran()[2]


def test_a_wrong_word_of_the_caller_is_no_matter_of_health(given: GivenReadings) -> None:
    given.answers = [without_workers()]
    code, output, errors = ran("refuses")
    assert (code, output) == (WRONG_INPUT, "") and "too much" in errors and NO_WORKER not in errors


def test_a_wrong_setting_is_said_once(given: GivenReadings) -> None:
    code, output, errors = ran(SAGA_PARTITIONS="many")
    assert (code, output) == (WRONG_INPUT, "") and errors.count("SAGA_PARTITIONS") == 1
    assert given.taken == 0


def test_a_system_in_which_all_is_well_gets_no_line(given: GivenReadings) -> None:
    given.answers = [all_well(SETTINGS)]
    assert ran() == (0, "done\n", "")
    assert ran("fails") == (FAILED, "", "saga: it did not work\n")
