"""Crashes of a worker as data, and the properties that must hold afterwards.

A plan is an inbox and a number of crashes. It is run twice: by one worker that nothing disturbs, record by record, and
by workers that are stopped at any step, with any prefix of what they wrote kept, their disks kept, lost or behind, and
the rest of what they wrote arriving late or never. Then the same must be true for both.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from saga_app import topics
from saga_app.core.decider import Decider
from saga_app.core.records import Reason, Record, StepName, StepRequest
from saga_app.kafka.messages import Message, Outgoing
from tests.support import model
from tests.support.examples import (
    call_off,
    cancel,
    cancelled,
    completed,
    countries,
    deadline,
    delivery,
    deposit,
    limit,
    order,
    pay,
    placed,
    refund,
    release,
    reserve,
    ship,
)
from tests.support.given import CHECKOUT, INVENTORY, PAYMENT, SHIPPING
from tests.support.memory import STEPS, Disk, MemoryBroker, MemoryWorker, Steps, Stop, Stopped, message

Sent = Record | bytes

DECIDERS: Final[dict[str, Decider]] = {
    topics.CHECKOUT: CHECKOUT,
    topics.PAYMENT: PAYMENT,
    topics.INVENTORY: INVENTORY,
    topics.SHIPPING: SHIPPING,
}


def _payment() -> list[Sent]:
    first = order("o1", "40.00", customer_id="c1")
    second = order("o2", "70.00", customer_id="c1")
    return [
        pay(first),
        refund(first),
        deposit("d1", "100.00"),
        pay(second),
        refund(second, Reason.OUT_OF_STOCK, StepName.INVENTORY),
        limit("p1", "60.00"),
        deposit("d2", "20.00"),
        pay(order("o1", "41.00", customer_id="c1")),
        deposit("d1", "101.00"),
        limit("p2", "1000.00"),
        limit("p1", "61.00"),
        pay(order("o3", "30.00")),
        b"not a record",
    ]


def _inventory() -> list[Sent]:
    first = order("o1", lines=[("a", 2), ("b", 1)])
    second = order("o2", lines=[("a", 3)])
    return [
        reserve(first),
        release(first),
        delivery("d1", a=4, b=2),
        reserve(second),
        release(second, Reason.UNDELIVERABLE, StepName.SHIPPING),
        delivery("d2", a=1),
        reserve(order("o1", lines=[("a", 1)])),
        delivery("d1", a=5),
        reserve(order("o3", lines=[("c", 1)])),
        b"not a record",
    ]


def _shipping() -> list[Sent]:
    first, second = order("o1", country="GB"), order("o2", country="FR")
    return [
        ship(first),
        call_off(first),
        ship(second),
        call_off(second),
        countries("p1", "FR"),
        ship(order("o1", country="FR")),
        b"not a record",
    ]


def _checkout() -> list[Sent]:
    return [
        placed("o1"),
        cancel("o1"),
        deadline("o1", 0),
        deadline("o1", 1, last=True),
        completed("o1"),
        cancelled("o1", Reason.OVER_LIMIT, StepName.PAYMENT),
        placed("o1", "41.00"),
        placed("o2"),
        b"not a record",
    ]


#: Records worth trying in each inbox: do, undo, other content, supplies, policies, garbage.
ALPHABET: Final[dict[str, list[Sent]]] = {
    topics.PAYMENT: _payment(),
    topics.INVENTORY: _inventory(),
    topics.SHIPPING: _shipping(),
    topics.CHECKOUT: _checkout(),
}


@dataclass(frozen=True)
class Crash:
    """One worker's life and end."""

    #: How many records the fetches bring, one after the other; the last brings the rest.
    sizes: tuple[int, ...] = ()
    #: The step at which it is stopped; `None`: it decides everything first.
    stop: Stop | None = None
    #: Rows of the journal and of the balances, and records of each topic, that its last append still writes.
    kept_journal: int = 0
    kept_balances: int = 0
    kept_records: int = 0
    #: What its successor finds on disk: nothing (None), or all but so many writes of each table.
    disk_behind: int | None = 0
    #: Which of the positions that were durable was the last one to be committed, from the newest.
    uncommitted: int = 0
    #: What becomes of the rest of its last append: it never arrives, or while its successor restores (0), or while
    #: the successor of that one does (1), and so on.
    late: int | None = None


@dataclass(frozen=True)
class CrashPlan:
    """An inbox, and the crashes of the workers that read it."""

    topic: str
    records: tuple[Sent, ...]
    crashes: tuple[Crash, ...]

    @property
    def decider(self) -> Decider:
        return DECIDERS[self.topic]

    @property
    def messages(self) -> list[Message]:
        return [message(record, offset) for offset, record in enumerate(self.records)]


CRASHES = st.builds(
    Crash,
    sizes=st.lists(st.sampled_from([1, 1, 2, 3]), max_size=3).map(tuple),
    stop=st.none() | st.builds(Stop, st.sampled_from(STEPS), st.sampled_from([1, 1, 2, 3])),
    kept_journal=st.integers(0, 3),
    kept_balances=st.integers(0, 2),
    kept_records=st.integers(0, 2),
    disk_behind=st.sampled_from([None, None, 0, 0, 1, 2]),
    uncommitted=st.integers(0, 2),
    late=st.sampled_from([None, 0, 1, 2]),
)


def plans(*names: str, most_records: int = 8) -> st.SearchStrategy[CrashPlan]:
    """Plans for these inboxes."""
    return st.sampled_from(names).flatmap(
        lambda topic: st.builds(
            CrashPlan,
            st.just(topic),
            _inboxes(ALPHABET[topic], most_records),
            st.lists(CRASHES, min_size=1, max_size=3).map(tuple),
        )
    )


def _inboxes(alphabet: list[Sent], most: int) -> st.SearchStrategy[tuple[Sent, ...]]:
    """Some of the first few records: what happens to one order is where the difficulties are."""
    few = st.sampled_from([3, 3, 4, 6, len(alphabet)])
    return few.flatmap(
        lambda count: st.lists(st.sampled_from(alphabet[:count]), min_size=1, max_size=most)
    ).map(tuple)


#: Traces that a model checker, or a planted defect, showed to be the hard ones. `_DEPOSIT, _DO, _UNDO` of one order.
_DO, _UNDO, _DEPOSIT, _DO_OTHER = ALPHABET[topics.PAYMENT][:4]
_TAKE, _PUT_BACK, _DELIVERY, _TAKE_OTHER = ALPHABET[topics.INVENTORY][:4]
AFTER_JOURNAL: Final = Stop("journalled", 2)
TRACES: Final = (
    # One batch, and a crash after its journal: moves must not be made once more by the repeat.
    CrashPlan(topics.PAYMENT, (_DEPOSIT, _DO, _DO, _UNDO), (Crash((1,), AFTER_JOURNAL),)),
    CrashPlan(topics.INVENTORY, (_DELIVERY, _TAKE, _TAKE, _PUT_BACK), (Crash((1,), AFTER_JOURNAL),)),
    # The row of a do arrives behind the row of its undo.
    CrashPlan(
        topics.PAYMENT,
        (_DEPOSIT, _DO, _UNDO),
        (Crash((1, 1), Stop("journal: send", 2), late=1), Crash((1,), None, disk_behind=None)),
    ),
    # The same, and its new owner is stopped in the middle of the repair.
    CrashPlan(
        topics.PAYMENT,
        (_DEPOSIT, _DO, _UNDO),
        (
            Crash((1, 1), Stop("journal: send", 2), late=1),
            Crash((1, 1)),
            Crash(),
            Crash((), Stop("journal: send")),
        ),
    ),
    # A balance row arrives behind a younger one.
    CrashPlan(
        topics.PAYMENT,
        (_DEPOSIT, _DO, _DO_OTHER, _UNDO),
        (Crash((1, 1), Stop("publisher: send", 2), late=1), Crash((1, 1, 1), None, disk_behind=None)),
    ),
)


class PlanOutcome:
    """The broker, tables and disks at the end."""

    def __init__(self, worker: MemoryWorker) -> None:
        self.broker = worker.broker
        self.tables = worker.rows
        self.disks = worker.disks


class Undisturbed(PlanOutcome):
    """The records one after the other, each durable before the next; knows what each of them sent and changed."""

    def __init__(self, plan: CrashPlan) -> None:
        broker = MemoryBroker()
        worker = MemoryWorker(broker, plan.topic, plan.decider)
        worker.start()
        self.sends: list[list[Outgoing]] = []
        self.changes: list[set[bytes]] = []
        for each in plan.messages:
            before, known = len(broker.sent), worker.rows.journal
            worker.run([each])
            self.sends.append(broker.sent[before:])
            now = worker.rows.journal
            self.changes.append({key for key, row in now.items() if known.get(key) != row})
        super().__init__(worker)


def disturbed(plan: CrashPlan) -> PlanOutcome:
    """Runs the workers of the plan, and after them one that nothing disturbs."""
    broker = MemoryBroker()
    disks: dict[str, Disk] | None = None
    committed = 0
    on_the_way: list[tuple[int, list[Outgoing]]] = []
    for number, crash in enumerate([*plan.crashes, None]):
        worker = MemoryWorker(
            broker,
            plan.topic,
            plan.decider,
            disks,
            committed=committed,
            steps=Steps(crash.stop if crash else None),
            keep=_kept(plan.decider, crash) if crash else 0,
            between=lambda number=number: _arrive(broker, on_the_way, number),  # type: ignore[misc]
        )
        with suppress(Stopped):
            worker.start()
            worker.run(plan.messages, crash.sizes if crash else ())
        if crash is None:
            break
        if crash.late is not None:
            on_the_way.append((number + 1 + crash.late, [*worker.journal.late, *worker.publisher.late]))
        disks = _found(worker.disks, crash.disk_behind)
        history = worker.inbox.history
        committed = history[max(0, len(history) - 1 - crash.uncommitted)][0]
    _arrive(broker, on_the_way, len(plan.crashes) + 9)
    return PlanOutcome(worker)


def _arrive(broker: MemoryBroker, on_the_way: list[tuple[int, list[Outgoing]]], now: int) -> None:
    """Delivers the records that a cut network held back."""
    for when, records in list(on_the_way):
        if when <= now:
            on_the_way.remove((when, records))
            for record in records:
                broker.append(record)


def _kept(decider: Decider, crash: Crash) -> dict[str, int]:
    names = (*topics.INBOXES, topics.DEAD_LETTERS, topics.ORDER_OUTCOMES)
    return {
        f"{decider.journal}-changelog": crash.kept_journal,
        f"{decider.balances}-changelog": crash.kept_balances,
        **dict.fromkeys(names, crash.kept_records),
    }


def _found(disks: dict[str, Disk], behind: int | None) -> dict[str, Disk] | None:
    if behind is None:
        return None
    for disk in disks.values():
        disk.lose(behind)
    return disks


def check(plan: CrashPlan) -> None:
    """Everything that must be true of a plan."""
    calm, stormy = Undisturbed(plan), disturbed(plan)
    agrees_with_the_model(plan, calm)
    assert stormy.tables == calm.tables, "other rows than without the crashes"
    only_repeats(calm, stormy)
    every_answer_was_given(calm, stormy)
    restores_to_the_same(plan, stormy)


def agrees_with_the_model(plan: CrashPlan, calm: Undisturbed) -> None:
    """An undisturbed worker does what `model` says, which writes the machines down a second time."""
    if plan.topic not in (topics.PAYMENT, topics.INVENTORY):
        return
    expected = model.decider(
        (at, each) for at, each in enumerate(plan.records) if not isinstance(each, bytes)
    )
    assert model.written(calm.tables.journal) == expected.entries
    assert model.amounts(calm.tables.balances) == expected.balances
    answers = [
        len(sends)
        for each, sends in zip(plan.records, calm.sends, strict=True)
        if isinstance(each, StepRequest)
    ]
    assert answers == [1] * len(answers), "a step request without exactly one answer"


def only_repeats(calm: Undisturbed, stormy: PlanOutcome) -> None:
    """Every record that was sent is one that an undisturbed worker sends."""
    assert {repr(record) for record in stormy.broker.sent} <= {repr(record) for record in calm.broker.sent}


def every_answer_was_given(calm: Undisturbed, stormy: PlanOutcome) -> None:
    """Every record got its answer, unless a later record changed the same row: then that one's answer was given."""
    sent = {repr(record) for record in stormy.broker.sent}
    for offset, sends in enumerate(calm.sends):
        for record in sends:
            if repr(record) not in sent:
                of = record.value or b""
                later = [key for changes in calm.changes[offset + 1 :] for key in changes]
                assert any(b'"order_id":"%s"' % key in of for key in later), f"no answer to offset {offset}"


def restores_to_the_same(plan: CrashPlan, stormy: PlanOutcome) -> None:
    """The changelogs hold the same rows: as they are, and after their owner repaired and the broker compacted them."""

    def heir(broker: MemoryBroker, disks: dict[str, Disk] | None = None) -> MemoryWorker:
        worker = MemoryWorker(broker, plan.topic, plan.decider, disks, committed=len(plan.records))
        worker.start()
        assert worker.rows == stormy.tables, "the changelogs hold other rows than the worker"
        return worker

    heir(stormy.broker.copy())
    owner = heir(stormy.broker, stormy.disks)
    for table in owner.tables:
        stormy.broker.compact((owner.changelog(table), 0))
    heir(stormy.broker)
