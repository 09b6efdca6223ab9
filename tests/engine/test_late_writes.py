"""Rows that another worker wrote late are noticed before compaction can prefer them."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from confluent_kafka import KafkaError, KafkaException

from saga_app.core.numbers import Generation, Offset
from saga_app.engine import late_writes as module
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.late_writes import LateWrites
from saga_app.kafka.messages import Place
from tests.support.assigned import holding
from tests.support.memory import Disk, MemoryStore

HERE, THERE = ("payments", 0), ("payments", 1)


class LateWritesWorker:
    """Holds some rows of two changelogs, and is told where they end, look by look."""

    def __init__(self, *looks: int | BaseException) -> None:
        self.stores = {HERE: MemoryStore(Disk()), THERE: MemoryStore(Disk())}
        self.looks = iter(looks)
        self.late_writes = LateWrites(holding(1), self.stores, self.ends)

    def hold(self, place: Place, reached: int) -> None:
        self.stores[place].write({}, Offset(reached))

    def look(self, generation: int, ends: Mapping[Place, int]) -> list[Place]:
        return self.late_writes.look(
            Generation(generation), {place: Offset(end) for place, end in ends.items()}
        )

    def ends(self, places: Iterable[Place]) -> dict[Place, Offset]:
        end = next(self.looks)
        if isinstance(end, BaseException):
            raise end
        return dict.fromkeys(places, Offset(end))


def test_a_row_that_is_not_held_one_look_after_it_was_written_is_another_workers() -> None:
    worker = LateWritesWorker()
    assert worker.look(1, {HERE: 5, THERE: 5}) == []
    worker.hold(HERE, 4)
    worker.hold(THERE, 6)
    assert worker.look(1, {HERE: 6, THERE: 7}) == [HERE]


def test_a_round_that_is_under_way_is_no_late_write() -> None:
    worker = LateWritesWorker()
    for end in range(5, 9):
        worker.hold(HERE, end - 1)
        assert worker.look(1, {HERE: end}) == []


def test_partitions_that_came_and_went_are_not_compared() -> None:
    worker = LateWritesWorker()
    worker.look(1, {HERE: 5, THERE: 5})
    assert worker.look(2, {HERE: 5}) == []
    del worker.stores[HERE]
    assert worker.look(2, {}) == []


def test_a_worker_ends_that_finds_late_writes_also_after_a_broker_that_was_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    silent = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    worker = LateWritesWorker(0, silent, TimeoutError(), 5, 6)
    with pytest.raises(Fatal, match="another worker wrote rows behind") as ended:
        asyncio.run(worker.late_writes.run())
    assert ended.value.exit is Exit.LATE_WRITES


def test_a_lost_changelog_ends_the_worker_at_the_next_question_not_at_the_next_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "QUESTION", 0.0)
    # The rows that another worker seems to have written are compared ten minutes later.
    worker = LateWritesWorker(0, 5, 6, Fatal(Exit.CHANGELOG_CUT, "it is gone"))
    with pytest.raises(Fatal, match="it is gone"):
        asyncio.run(worker.late_writes.run())
