"""A cancellation at any moment of an order's life: the order ends once and wholly, and a late one is told so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_app.core.records import OrderPlaced, Reason, Record
from saga_app.core.rows import Status
from tests.sagas.saga import ROUTES, Saga, supplied
from tests.support.examples import cancel, deadline, delivery, deposit
from tests.support.memory import STEPS
from tests.support.profiles import examples

BOOKED = "order o1: too late to cancel: the shipment was booked"
COMPLETED = "order o1: too late to cancel: the order is completed"


def every_life(order: OrderPlaced, extras: Sequence[Record], finished: Callable[[Saga], None]) -> int:
    """Every sequence in which inboxes can be read and these records sent; how many situations there are.

    What happens next depends on the situation alone, so the ways out of one are tried once.
    """
    known: set[object] = set()
    unexplored: list[tuple[int, ...]] = [()]
    while unexplored:
        choices = unexplored.pop()
        saga = supplied()
        saga.send(order)
        left, taken = list(extras), 0
        while options := [*saga.waiting(), *left[:1]]:
            if taken >= len(choices):
                situation = (saga.situation(), len(left))
                if situation in known:
                    break
                known.add(situation)
                unexplored += [(*choices, other) for other in range(1, len(options))]
                choices = (*choices, 0)
            chosen = options[choices[taken]]
            taken += 1
            if isinstance(chosen, tuple):
                saga.read(chosen)
            else:
                saga.send(left.pop(0))
        else:
            finished(saga)
    return len(known)


EXTRAS: dict[str, list[Record]] = {
    "one cancellation": [cancel()],
    "two cancellations": [cancel(), cancel()],
    "a nudge and a cancellation": [deadline(), cancel()],
    "a cancellation and a nudge": [cancel(), deadline()],
    "the order again and a cancellation": [ROUTES[None]("o1"), cancel()],
}


@pytest.mark.parametrize("extras", EXTRAS)
@pytest.mark.parametrize("refusal", ROUTES)
def test_every_life_of_an_order_that_is_cancelled_ends_wholly(refusal: Reason | None, extras: str) -> None:
    """Every sequence of one order's deliveries, with these records anywhere behind the order."""
    statuses: set[Status] = set()
    notes: set[str] = set()
    reasons = {Reason.REQUESTED} if refusal is None else {Reason.REQUESTED, refusal}
    again = extras.startswith("the order again") and refusal is not None

    def finished(saga: Saga) -> None:
        saga.check(["o1"], reasons)
        # Placed again with another content: set aside.
        assert saga.dead() == (["different_content"] if again else [])
        statuses.add(saga.order("o1").status)
        notes.update(saga.notes)
        # It came too late, and that was said; or not, and then it was not said.
        late = saga.order("o1").status is Status.COMPLETED
        assert set(saga.notes) <= {BOOKED, COMPLETED} and bool(saga.notes) is late

    situations = every_life(ROUTES[refusal]("o1"), EXTRAS[extras], finished)
    assert statuses == ({Status.COMPLETED, Status.CANCELLED} if refusal is None else {Status.CANCELLED})
    assert notes == ({BOOKED, COMPLETED} if refusal is None else set())
    assert situations >= 20


def test_every_life_of_an_order_that_is_given_up_ends_wholly() -> None:
    """Its last deadline passes at any moment: it is undone for that reason, or had completed."""
    reasons = set()

    def finished(saga: Saga) -> None:
        saga.check(["o1"], {Reason.TIMED_OUT})
        reasons.add(saga.order("o1").reason)

    every_life(ROUTES[None]("o1"), [deadline(last=True)], finished)
    assert reasons == {Reason.TIMED_OUT, None}


def test_a_cancellation_before_its_order_meets_it_and_no_step_acts() -> None:
    saga = supplied()
    saga.send(cancel())
    saga.send(ROUTES[None]("o1"))
    saga.finish()
    saga.check(["o1"], {Reason.REQUESTED})
    assert (saga.order("o1").status, saga.dead()) == (Status.CANCELLED, [])
    assert {saga.state(each, "o1") for each in ("payments", "reservations", "shipments")} == {None}


@dataclass
class Act:
    """One thing that happens: an inbox is read, a worker dies doing it, or somebody cancels."""

    what: str
    which: int
    records: int = 1
    step: str = ""
    keeps_disk: bool = True
    written: int = 0


ACTS = st.one_of(
    st.builds(Act, st.just("read"), st.integers(0, 7), st.integers(1, 4)),
    st.builds(Act, st.just("cancel"), st.integers(0, 3)),
    st.builds(
        Act,
        st.just("crash"),
        st.integers(0, 7),
        st.integers(1, 4),
        st.sampled_from(STEPS[1:]),
        st.booleans(),
        st.integers(0, 3),
    ),
)


@examples(400)
@given(st.permutations(range(4)), st.lists(ACTS, max_size=60))
def test_four_orders_cancelled_at_any_moment_with_crashes_end_wholly(
    sequence: Sequence[int], acts: list[Act]
) -> None:
    """They share a customer and two mugs, over two partitions; workers die at any step of their rounds."""
    names = [f"o{number}" for number in range(4)]
    saga = Saga(partitions=2)
    saga.send(deposit(amount="100.00"), delivery(MUG=2))
    saga.send(*(ROUTES[list(ROUTES)[number]](names[number]) for number in sequence))
    cancelled = set()
    for act in acts:
        waiting = saga.waiting()
        if act.what == "cancel":
            cancelled.add(names[act.which])
            saga.send(cancel(names[act.which]))
        elif waiting and act.what == "read":
            saga.read(waiting[act.which % len(waiting)], act.records)
        elif waiting:
            place = waiting[act.which % len(waiting)]
            saga.crash(place, act.step, keeps_disk=act.keeps_disk, records=act.records, written=act.written)
    saga.finish()
    refusals = {reason for reason in ROUTES if reason is not None} | {
        Reason.OUT_OF_STOCK,
        Reason.INSUFFICIENT_FUNDS,
    }
    saga.check(names, {Reason.REQUESTED, *refusals})
    for name in names:
        assert saga.order(name).reason is not Reason.REQUESTED or name in cancelled
    assert saga.dead() == []
