"""Rows that another worker wrote late are noticed before compaction can prefer them."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from confluent_kafka import KafkaError, KafkaException

from saga_app.durable import engine as engine_module
from saga_app.durable import stragglers
from saga_app.durable.fatal import Exit
from saga_app.durable.ports import Place
from saga_app.durable.stragglers import Stragglers
from tests.overrides.parts import our_app
from tests.support.memory import Disk, MemoryShelf

HERE, THERE = ("payments", 0), ("payments", 1)


def test_what_is_written_and_not_held_one_look_later_was_another_workers() -> None:
    seen = Stragglers()
    assert seen.look(1, {HERE: 5, THERE: 5}, {HERE: 4, THERE: 4}) == []
    assert seen.look(1, {HERE: 6, THERE: 7}, {HERE: 4, THERE: 6}) == [HERE]


def test_a_round_that_is_under_way_is_no_straggler() -> None:
    seen = Stragglers()
    for end in range(5, 9):
        assert seen.look(1, {HERE: end}, {HERE: end - 1}) == []


def test_partitions_that_came_and_went_are_not_compared() -> None:
    seen = Stragglers()
    seen.look(1, {HERE: 5, THERE: 5}, {HERE: 4, THERE: 5})
    assert seen.look(2, {HERE: 5}, {HERE: 4}) == []
    assert seen.look(2, {}, {}) == []


class Ended(BaseException):
    """The process would be gone."""


@pytest.fixture
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Exit, str]]:
    """A worker that holds three rows of a changelog, which ends as the looks say; how it ends."""

    def die(code: Exit, message: str) -> NoReturn:
        raise Ended(code, message)

    def run(*found: int | Exception) -> tuple[Exit, str]:
        engine, waiting = our_app(tmp_path).engine, iter(found)
        shelves: Any = {HERE: MemoryShelf(Disk([({}, 3, None)]))}
        engine.generation, engine.library.shelves = 1, shelves

        def ends(places: Iterable[Place]) -> dict[Place, int]:
            end = next(waiting)
            if isinstance(end, Exception):
                raise end
            return dict.fromkeys(places, end)

        monkeypatch.setattr(engine.library, "ends", ends)
        with pytest.raises(Ended) as how:
            asyncio.run(engine._look_for_stragglers())
        code, message = how.value.args
        return code, message

    monkeypatch.setattr(stragglers, "INTERVAL", 0.0)
    monkeypatch.setattr(engine_module, "die", die)
    return run


def test_a_worker_ends_that_finds_stragglers_also_after_a_broker_that_was_silent(
    looks: Callable[..., tuple[Exit, str]],
) -> None:
    silent = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    code, message = looks(3, silent, TimeoutError(), 5, 6)
    assert code is Exit.STRAGGLERS
    assert message.startswith("payments[0]: another worker wrote rows")


def test_a_look_that_fails_otherwise_ends_the_worker_too(looks: Callable[..., tuple[Exit, str]]) -> None:
    assert looks(3, ValueError("x")) == (Exit.ROUND_FAILED, "looking for stragglers: ValueError('x')")
