"""The deadline timer: it nudges the orders that are due, and no other."""

import asyncio
from collections.abc import Sequence

import pytest

from saga_app import wire
from saga_app.core.numbers import Generation, Offset
from saga_app.core.records import DeadlinePassed, Record
from saga_app.core.rows import OrderRow, Status
from saga_app.engine import deadlines as clock_module
from saga_app.engine.deadlines import GRACE, MOST, DeadlineTimer
from saga_app.engine.ports import DeliveryFailed, DeliveryTimedOut
from saga_app.kafka.messages import Offsets, Outgoing
from tests.support.examples import cancel, cancelled, completed, deadline, placed
from tests.support.given import BEGINNING, CHECKOUT, given
from tests.support.memory import Disk, MemoryBroker, MemoryLog, MemoryStore, Steps

SECOND = 1000


class TimerWorld:
    """A clock that is set by hand, and the nudges that the deadline timer sends."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self.broker = MemoryBroker()
        self.log = MemoryLog("clock", self.broker, Steps())
        self.clock = DeadlineTimer(self.log, lambda: self.now, tick=0)
        self.clock.start(Generation(1))

    def changed(self, row: OrderRow, order_id: str = "o1") -> None:
        self.clock.changed(0, {order_id: row})

    def note_appends(self) -> list[int]:
        """How many nudges are sent at once, each time."""
        appended: list[int] = []
        append = self.log.append

        async def noting(records: Sequence[Outgoing], generation: Generation) -> Offsets:
            appended.append(len(records))
            return await append(records, generation)

        self.log.append = noting  # type: ignore[method-assign]
        return appended

    def nudges_after(self, seconds: float) -> list[Record]:
        """The nudges that are sent when so many seconds have passed since the beginning."""
        self.now = BEGINNING + int(seconds * SECOND)
        before = len(self.broker.sent)

        async def tick() -> None:
            running = asyncio.create_task(self.clock.run())
            for _ in range(20):
                await asyncio.sleep(0)
            running.cancel()

        asyncio.run(tick())
        return [wire.decode(record.value) for record in self.broker.sent[before:]]


@pytest.fixture
def world() -> TimerWorld:
    return TimerWorld()


def row_after(*records: Record) -> OrderRow:
    story = given(CHECKOUT, *records)
    (_, order_id), *_ = story.rows.bytes
    return story.order(order_id)._replace(since=BEGINNING)


def test_an_open_order_is_nudged_when_it_is_due_and_not_before(world: TimerWorld) -> None:
    world.changed(row_after(placed()))
    assert world.nudges_after(29.9) == []
    assert world.nudges_after(30) == [DeadlinePassed(order_id="o1", attempt=0, last=False)]
    assert world.nudges_after(300) == []


def test_a_nudge_carries_its_try_and_whether_it_is_the_last(world: TimerWorld) -> None:
    world.changed(row_after(placed())._replace(tries=4))
    assert world.nudges_after(480) == [DeadlinePassed(order_id="o1", attempt=4, last=True)]


def test_a_nudge_goes_to_the_partition_of_its_order(world: TimerWorld) -> None:
    world.changed(row_after(placed()))
    world.nudges_after(30)
    (sent,) = world.broker.sent
    assert (sent.topic, sent.key) == ("checkout_events", b"o1")


@pytest.mark.parametrize("ends", [completed(), cancelled()], ids=lambda record: record.type)
def test_an_order_that_has_ended_is_not_nudged(world: TimerWorld, ends: Record) -> None:
    world.changed(row_after(placed()))
    world.changed(row_after(placed(), ends))
    assert world.nudges_after(10_000) == []
    assert len(world.clock) == 0


def test_an_order_that_is_being_cancelled_is_nudged(world: TimerWorld) -> None:
    world.changed(row_after(placed(), cancel()))
    assert world.nudges_after(30) == [DeadlinePassed(order_id="o1", attempt=0, last=False)]


def test_a_stale_deadline_is_never_sent(world: TimerWorld) -> None:
    world.changed(row_after(placed()))
    world.changed(row_after(placed(), deadline()))
    assert world.nudges_after(30) == []
    assert world.nudges_after(60) == [DeadlinePassed(order_id="o1", attempt=1, last=False)]


def test_orders_are_nudged_in_the_sequence_of_their_deadlines(world: TimerWorld) -> None:
    world.changed(row_after(placed())._replace(tries=1), "late")
    world.changed(row_after(placed()), "early")
    assert [each.order_id for each in world.nudges_after(60)] == ["early", "late"]  # type: ignore[union-attr]


def test_a_record_that_waited_long_starts_its_deadline_when_it_is_read(world: TimerWorld) -> None:
    """A worker that works off an old backlog must not nudge every order in it at once."""
    world.now = BEGINNING + 3600 * SECOND
    world.changed(row_after(placed()))
    assert world.nudges_after(3600 + 29) == []
    assert len(world.nudges_after(3600 + 30)) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_moves_no_deadline_of_records_read_now(world: TimerWorld, hours: int) -> None:
    """Kafka's time and this machine's are never compared then."""
    world.now = BEGINNING + hours * 3600 * SECOND
    world.changed(row_after(placed()))
    assert world.nudges_after(hours * 3600 + 29.9) == []
    assert len(world.nudges_after(hours * 3600 + 30)) == 1


def test_after_a_restart_with_a_clock_that_is_late_a_deadline_is_late_by_one_delay_at_most(
    world: TimerWorld,
) -> None:
    world.now = BEGINNING - 3600 * SECOND
    world.clock.load(MemoryStore(Disk([({b"o1": row_after(placed()).encode()}, Offset(1), None)])))
    assert world.nudges_after(-3600 + 29.9) == []
    assert len(world.nudges_after(-3600 + 30)) == 1


def test_a_clock_that_is_set_while_the_worker_runs_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = clock_module.steady()
    before = clock()
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert 0 <= clock() - before < 10 * SECOND


def test_after_an_hour_of_outage_old_deadlines_are_sent_little_by_little(world: TimerWorld) -> None:
    """One nudge for each of 2,000 open orders, and 500 at a tick."""
    rows = {b"o%d" % each: row_after(placed(f"o{each}")).encode() for each in range(2_000)}
    world.now = BEGINNING + 3600 * SECOND
    world.clock.load(MemoryStore(Disk([(rows, Offset(2_000), None)])))
    appended = world.note_appends()
    nudged = [each.order_id for each in world.nudges_after(3600 + 5)]  # type: ignore[union-attr]
    assert len(nudged) == len(set(nudged)) == 2_000
    assert appended == [MOST] * 4
    assert world.nudges_after(3600 + 34.9) == []


def test_after_a_restart_open_orders_are_found_on_the_store(world: TimerWorld) -> None:
    rows = {
        b"open": row_after(placed("open")),
        b"cancelling": row_after(placed(), cancel()),
        b"completed": row_after(placed(), completed()),
        b"cancelled": row_after(placed(), cancelled()),
    }
    store = MemoryStore(Disk([({key: row.encode() for key, row in rows.items()}, Offset(4), None)]))
    world.clock.load(store)
    assert len(world.clock) == 2
    assert {each.order_id for each in world.nudges_after(30)} == {"open", "cancelling"}  # type: ignore[union-attr]


def test_after_a_restart_old_deadlines_wait_for_records_on_their_way(world: TimerWorld) -> None:
    world.now = BEGINNING + 3600 * SECOND
    world.clock.load(MemoryStore(Disk([({b"o1": row_after(placed()).encode()}, Offset(1), None)])))
    assert world.nudges_after(3600 + (GRACE - 1) / SECOND) == []
    assert len(world.nudges_after(3600 + GRACE / SECOND)) == 1


def test_nothing_is_sent_before_it_is_started_or_after_it_is_stopped(world: TimerWorld) -> None:
    world.clock.stop()
    world.clock.load(MemoryStore(Disk([({b"o1": row_after(placed()).encode()}, Offset(1), None)])))
    assert world.nudges_after(3600) == []
    world.clock.start(Generation(2))
    assert len(world.nudges_after(3600)) == 1
    world.clock.stop()
    assert len(world.clock) == 0


def test_a_round_that_ends_after_its_partitions_were_taken_away_leaves_no_deadline(world: TimerWorld) -> None:
    """They belong to another worker; what is still ours is loaded at the next assignment."""
    world.clock.stop()
    world.changed(row_after(placed()))
    world.clock.start(Generation(2))
    assert (len(world.clock), world.nudges_after(3600)) == (0, [])


def test_a_nudge_that_the_broker_does_not_answer_for_is_sent_again_at_once(world: TimerWorld) -> None:
    append, failures = world.log.append, [DeliveryTimedOut("checkout_events")]

    async def failing_once(records: Sequence[Outgoing], generation: Generation) -> Offsets:
        if failures:
            raise failures.pop()
        return await append(records, generation)

    world.log.append = failing_once  # type: ignore[method-assign]
    world.changed(row_after(placed()))
    assert world.nudges_after(30) == [DeadlinePassed(order_id="o1", attempt=0, last=False)]
    assert not failures


def test_a_nudge_that_the_broker_refuses_ends_the_timer(world: TimerWorld) -> None:
    async def refusing(records: Sequence[Outgoing], generation: Generation) -> Offsets:
        raise DeliveryFailed("checkout_events")

    world.log.append = refusing  # type: ignore[method-assign]
    world.changed(row_after(placed()))
    world.now = BEGINNING + 30 * SECOND
    with pytest.raises(DeliveryFailed):
        asyncio.run(world.clock.run())


def test_so_many_are_sent_at_once_and_the_rest_at_the_next_tick(
    world: TimerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "MOST", 3)
    appended = world.note_appends()
    for each in range(7):
        world.changed(row_after(placed()), f"o{each}")
    assert len(world.nudges_after(30)) == 7
    assert appended == [3, 3, 1]


def test_checkout_takes_its_nudges_for_the_present_try(world: TimerWorld) -> None:
    story = given(CHECKOUT, placed())
    for seconds in (30, 90, 210, 450, 930, 1410):
        world.changed(story.order()._replace(since=0))
        (nudge,) = world.nudges_after(seconds)
        story.when(nudge)
    assert (story.order().status, story.order().tries) == (Status.CANCELLING, 6)
