"""Where tests stop a worker: `TOPIC/POINT:N`."""

import os
import signal
from collections.abc import Callable

import pytest

from harness.killed_app import stop_at
from saga_app.engine.durability import Point
from tests.support.blocks import ROOT

Passing = Callable[[str, Point], None]


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def killed_at(
    where: str, topic: str, point: Point, kills: list[tuple[int, int]], times: int = 5
) -> list[int]:
    """At which of so many times the process would have been killed."""
    passing, found = stop_at(where), []
    for time in range(1, times + 1):
        passing(topic, point)
        if kills:
            assert kills == [(os.getpid(), signal.SIGKILL)]
            kills.clear()
            found.append(time)
    return found


@pytest.mark.parametrize("point", Point)
def test_a_worker_can_be_stopped_at_every_point(point: Point, kills: list[tuple[int, int]]) -> None:
    assert killed_at(f"payment_events/{point}:3", "payment_events", point, kills) == [3]


def test_without_a_number_it_is_the_first_time(kills: list[tuple[int, int]]) -> None:
    assert killed_at("payment_events/journalled", "payment_events", Point.JOURNALLED, kills) == [1]


def test_other_topics_and_points_are_passed_and_not_counted(kills: list[tuple[int, int]]) -> None:
    passing = stop_at("payment_events/journalled:2")
    for topic, point in (
        ("payment_events", Point.JOURNALLED),
        ("checkout_events", Point.JOURNALLED),
        ("payment_events", Point.PUBLISHED),
    ):
        passing(topic, point)
    assert kills == []
    passing("payment_events", Point.JOURNALLED)
    assert len(kills) == 1


def test_the_product_does_not_know_the_variable_that_kills_a_worker() -> None:
    for folder in ("saga_app", "agents", "tables"):
        for file in (ROOT / folder).rglob("*.py"):
            assert "CRASH_AT" not in file.read_text("utf-8"), file


@pytest.mark.parametrize(
    "where",
    ["decided", "payment_events", "payment_events/decidet", "payments/decided", "payment_events/decided:x"],
)
def test_a_place_that_is_never_passed_is_refused(where: str) -> None:
    with pytest.raises(ValueError, match="TOPIC/POINT:N"):
        stop_at(where)
