"""The watchdog ends a process that cannot do its work.

Answers faust#434, faust#532, faust#629, faust#175, faust#323 and aiokafka#1154; that stock Faust does not even ask for
the error is shown in `test_membership`.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError

from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.watchdog import (
    LOOP_SILENT,
    NO_HEARTBEAT,
    NO_PARTITIONS,
    NO_PROGRESS,
    REBALANCING,
    Watchdog,
)
from tests.engine.faust.parts import in_a_loop, our_app
from tests.support.assigned import hold, holding


class EndedTask:
    """A task or future that has, or has not, ended."""

    def __init__(self, done: bool) -> None:
        self._done = done

    def done(self) -> bool:
        return self._done


class FakeLoop:
    """A main loop that answers at once, or not at all."""

    def __init__(self) -> None:
        self.answers = True

    def call_soon_threadsafe(self, function: Callable[[], None]) -> None:
        if self.answers:
            function()


class WatchedWorker:
    """A healthy worker, its clock, and how it ended."""

    def __init__(self) -> None:
        self.coordinator = SimpleNamespace(
            _pending_exception=None, _coordination_task=EndedTask(False), _closing=EndedTask(False)
        )
        self.buffer = SimpleNamespace(waiting=0)
        self.heartbeats = True
        self.engine = SimpleNamespace(
            buffers={"payment_events": self.buffer},
            durable={("payment_events", 0): 5},
            assignment=holding(3),
            lease=SimpleNamespace(holds=lambda generation: self.heartbeats),
        )
        self.recovery = SimpleNamespace(in_recovery=False)
        consumer = SimpleNamespace(
            _thread=SimpleNamespace(_consumer=SimpleNamespace(_coordinator=self.coordinator))
        )
        app: Any = SimpleNamespace(
            _consumer=consumer,
            engine=self.engine,
            loop=FakeLoop(),
            rebalancing=False,
            rebalancing_count=1,
            should_stop=False,
            tables=SimpleNamespace(_recovery=self.recovery),
        )
        self.app = app
        self.now = 1000.0
        self.ended: list[tuple[Exit, str]] = []
        self.watchdog = Watchdog(app, lambda: self.now)

    def look(self) -> None:
        """One look; a process that has ended does not look again, but these tests let it."""
        try:
            self.watchdog.look()
        except Fatal as fatal:
            self.ended.append((fatal.exit, fatal.text))

    def passes(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> list[str]:
        """Time passes, with a look every second; why the process ended."""
        for _ in range(int(seconds)):
            self.look()
            self.now += 1
            meanwhile()
        self.look()
        assert {code for code, _ in self.ended} <= {Exit.STUCK}
        return [why for _, why in self.ended]


def silent(worker: WatchedWorker) -> None:
    worker.app.loop.answers = False


def without_progress(worker: WatchedWorker) -> None:
    worker.buffer.waiting = 3


def rebalancing(worker: WatchedWorker) -> None:
    worker.app.rebalancing = True


def without_heartbeat(worker: WatchedWorker) -> None:
    worker.heartbeats = False


def without_partitions(worker: WatchedWorker) -> None:
    worker.engine.assignment.give_up()


CONDITIONS = [
    (silent, LOOP_SILENT, "main loop does not answer"),
    (without_progress, NO_PROGRESS, "none becomes durable"),
    (rebalancing, REBALANCING, "rebalance does not end"),
    (without_heartbeat, NO_HEARTBEAT, "no heartbeat"),
    (without_partitions, NO_PARTITIONS, "no partitions"),
]


@pytest.mark.parametrize(("happens", "limit", "words"), CONDITIONS)
def test_a_condition_ends_the_process_after_its_limit(
    happens: Callable[[WatchedWorker], None], limit: float, words: str
) -> None:
    worker = WatchedWorker()
    worker.watchdog.look()
    happens(worker)
    assert words in worker.passes(limit + 3)[0]


@pytest.mark.parametrize(("happens", "limit", "words"), CONDITIONS)
def test_a_condition_does_not_end_the_process_before_its_limit(
    happens: Callable[[WatchedWorker], None], limit: float, words: str
) -> None:
    worker = WatchedWorker()
    worker.watchdog.look()
    happens(worker)
    assert worker.passes(limit - 1) == []


@pytest.mark.parametrize(("happens", "limit", "words"), CONDITIONS)
def test_a_condition_that_passes_starts_anew(
    happens: Callable[[WatchedWorker], None], limit: float, words: str
) -> None:
    worker = WatchedWorker()
    worker.watchdog.look()
    before = (dict(vars(worker.app)), dict(vars(worker.buffer)), worker.heartbeats)
    for _ in range(2):
        happens(worker)
        assert worker.passes(limit - 2) == []
        vars(worker.app).update(before[0])
        vars(worker.buffer).update(before[1])
        worker.heartbeats = before[2]
        hold(worker.engine.assignment, 3)
        worker.app.loop.answers = True
        worker.watchdog._answer()
        worker.engine.durable = {("payment_events", 0): worker.now}
        worker.passes(2)
    assert worker.ended == []


def test_a_healthy_worker_lives() -> None:
    assert WatchedWorker().passes(500) == []


def test_records_that_wait_are_no_reason_while_others_become_durable() -> None:
    worker = WatchedWorker()
    worker.buffer.waiting = 8000

    def decided() -> None:
        worker.engine.durable = {("payment_events", 0): int(worker.now)}

    assert worker.passes(500, decided) == []


def test_records_that_keep_arriving_do_not_hide_that_none_becomes_durable() -> None:
    worker = WatchedWorker()
    worker.buffer.waiting = 1

    def arrives() -> None:
        worker.buffer.waiting += 1

    assert "none becomes durable" in worker.passes(NO_PROGRESS + 3, arrives)[0]


def test_time_waited_before_a_rebalance_does_not_count_during_it() -> None:
    worker = WatchedWorker()
    worker.buffer.waiting = 100
    worker.watchdog.look()
    worker.app.rebalancing = True
    worker.engine.assignment.give_up()
    assert worker.passes(REBALANCING - 2) == []


def test_a_long_restore_is_not_a_stuck_rebalance() -> None:
    worker = WatchedWorker()
    worker.app.rebalancing = worker.recovery.in_recovery = True
    worker.engine.assignment.give_up()
    assert worker.passes(10 * REBALANCING) == []


def test_no_heartbeat_is_expected_where_no_partitions_are_read() -> None:
    worker = WatchedWorker()
    worker.engine.assignment.give_up()
    worker.heartbeats = False
    assert worker.passes(NO_PARTITIONS - 1) == []


@in_a_loop
async def test_a_look_while_the_start_is_held_up_makes_none_of_fausts_services(tmp_path: Path) -> None:
    """Made by the watchdog's thread they would belong to an event loop that never runs, and the worker would wait."""
    app = our_app(tmp_path)
    app.loop = asyncio.get_running_loop()
    await asyncio.to_thread(Watchdog(app).look)
    assert app._consumer is None
    assert app.tables._recovery is None
    assert app.tables.loop is app.loop


def test_an_error_that_aiokafka_has_parked_ends_the_process_at_once() -> None:
    worker = WatchedWorker()
    worker.coordinator._pending_exception = PermissionError("group")
    assert "PermissionError" in worker.passes(0)[0]


def test_a_group_that_may_not_be_joined_is_a_refusal_of_the_broker() -> None:
    worker = WatchedWorker()
    worker.coordinator._pending_exception = GroupAuthorizationFailedError("saga")
    worker.look()
    ((code, why),) = worker.ended
    assert code is Exit.BROKER_REFUSED and "lacks an ACL" in why


def test_a_coordinator_whose_task_has_ended_ends_the_process_at_once() -> None:
    worker = WatchedWorker()
    worker.coordinator._coordination_task = EndedTask(True)
    assert "task has ended" in worker.passes(0)[0]


def test_a_coordinator_that_is_being_closed_is_not_dead() -> None:
    worker = WatchedWorker()
    worker.coordinator._coordination_task = worker.coordinator._closing = EndedTask(True)
    assert worker.passes(10) == []


def test_a_worker_that_stops_is_not_dead() -> None:
    worker = WatchedWorker()
    worker.coordinator._coordination_task = EndedTask(True)
    worker.app.should_stop = True
    assert worker.passes(10) == []


def test_a_worker_without_a_consumer_is_not_dead() -> None:
    worker = WatchedWorker()
    worker.app._consumer = None
    assert worker.passes(10) == []
