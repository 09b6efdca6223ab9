"""Authorise, then capture: the payment's machine behind the pivot, cell by cell, and steps that are never refused."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from saga_app.core import outside, participant, route
from saga_app.core.decider import Position, Rows, Verdict
from saga_app.core.errors import Fault
from saga_app.core.moves import Moves
from saga_app.core.order import Order
from saga_app.core.outside import CAPTURE_MACHINE, RETRIABLE_MACHINE, Outside, OutsideInput, OutsideOutput
from saga_app.core.participant import Participant
from saga_app.core.records import Outcome, Reason, Record, StepName
from saga_app.core.rows import ASKED_STATES, OutsideEffect, State
from saga_app.core.step import Step, StepKind
from tests.support.examples import (
    CAPTURED_LATER,
    answered,
    cancelled,
    capture,
    completed,
    deposit,
    order,
    pay,
    refund,
    reserve,
    ship,
)
from tests.support.given import PAYMENT, SHIPPING, Story, given

HELD = order(customer_id="c1", payment_method="stripe:pm_1", route=CAPTURED_LATER)
INSIDE = order(customer_id="c1", route=CAPTURED_LATER)
#: 2026-01-08, in seconds.
SOON = 1_767_830_400


def done(**fields: Any) -> Record:
    return answered(Outcome.DONE, "pi_1", **fields)


def captured(reference: str = "pi_1", **fields: Any) -> Record:
    return answered(Outcome.CAPTURED, reference, **fields)


AUTHORISED: list[Record] = [pay(HELD), done(capture_before=SOON)]
#: By state, the records that lead to it.
PATHS: dict[State, list[Record]] = {
    State.DOING: [pay(HELD)],
    State.PREVENTING: [pay(HELD), refund(HELD)],
    State.DONE: AUTHORISED,
    State.UNDOING: [*AUTHORISED, refund(HELD)],
    State.UNDONE: [*AUTHORISED, refund(HELD), answered(Outcome.UNDONE, "pi_1")],
    State.REFUSED: [pay(HELD), answered(Outcome.REFUSED, "pi_1")],
    State.CAPTURING: [*AUTHORISED, capture(HELD)],
    State.CAPTURED: [*AUTHORISED, capture(HELD), captured()],
}
NOTHING, CONFLICT, DEAD = "nothing", "conflict", "dead letter"
ON = [completed()]
TURNED = [cancelled()]
#: (state, record) -> (next state, sends or what becomes of it), written down by hand.
RECORDS: dict[str, Callable[[], Record]] = {
    "pay": lambda: pay(HELD),
    "undo": lambda: refund(HELD),
    "capture": lambda: capture(HELD),
    "done": done,
    "captured": captured,
    "refused": lambda: answered(Outcome.REFUSED, "pi_1"),
    "undone": lambda: answered(Outcome.UNDONE, "pi_1"),
}
EXPECTED: dict[tuple[State, str], tuple[State, Any]] = {
    (State.DONE, "pay"): (State.DONE, [reserve(HELD)]),
    (State.DONE, "undo"): (State.UNDOING, []),
    (State.DONE, "capture"): (State.CAPTURING, []),
    (State.DONE, "done"): (State.DONE, NOTHING),
    (State.DONE, "captured"): (State.DONE, NOTHING),
    (State.DONE, "refused"): (State.DONE, CONFLICT),
    (State.DONE, "undone"): (State.DONE, CONFLICT),
    (State.CAPTURING, "pay"): (State.CAPTURING, []),
    (State.CAPTURING, "undo"): (State.CAPTURING, DEAD),
    (State.CAPTURING, "capture"): (State.CAPTURING, []),
    (State.CAPTURING, "done"): (State.CAPTURING, NOTHING),
    (State.CAPTURING, "captured"): (State.CAPTURED, ON),
    (State.CAPTURING, "refused"): (State.CAPTURING, CONFLICT),
    (State.CAPTURING, "undone"): (State.CAPTURING, CONFLICT),
    (State.CAPTURED, "pay"): (State.CAPTURED, ON),
    (State.CAPTURED, "undo"): (State.CAPTURED, DEAD),
    (State.CAPTURED, "capture"): (State.CAPTURED, ON),
    (State.CAPTURED, "done"): (State.CAPTURED, NOTHING),
    (State.CAPTURED, "captured"): (State.CAPTURED, NOTHING),
    (State.CAPTURED, "refused"): (State.CAPTURED, CONFLICT),
    (State.CAPTURED, "undone"): (State.CAPTURED, CONFLICT),
    # What is captured was authorised: elsewhere it counts as done.
    (State.DOING, "captured"): (State.DONE, [reserve(HELD)]),
    (State.PREVENTING, "captured"): (State.UNDOING, []),
    (State.UNDOING, "captured"): (State.UNDOING, NOTHING),
    (State.UNDONE, "captured"): (State.UNDONE, NOTHING),
    (State.REFUSED, "captured"): (State.REFUSED, CONFLICT),
    # It comes behind the pivot, so it cannot meet any of these.
    **{
        (state, "capture"): (state, DEAD)
        for state in (State.DOING, State.PREVENTING, State.UNDOING, State.UNDONE, State.REFUSED)
    },
}


def at(state: State) -> Story:
    story = given(PAYMENT, *PATHS[state])
    assert story.row().state is state
    return story


@pytest.mark.parametrize(("state", "name"), EXPECTED, ids=str)
def test_every_record_about_a_payment_that_is_captured_later_has_its_outcome(state: State, name: str) -> None:
    to, outcome = EXPECTED[state, name]
    story = at(state).when(RECORDS[name]())
    if outcome == DEAD:
        story.is_dead(Fault.CONTRADICTION)
    elif outcome == NOTHING:
        story.then().changes_nothing()
    elif outcome == CONFLICT:
        story.then()
        assert story.decision is not None and story.decision.alarm
        assert story.row().conflict is not None
    else:
        story.then(*outcome)
    assert story.row().state is to


def test_the_machine_has_a_cell_for_each_answer_and_each_request_behind_the_pivot() -> None:
    answers = {*outside.INPUTS.values()}
    for state in (State.CAPTURING, State.CAPTURED):
        requests = {OutsideInput.AGAIN, OutsideInput.CAPTURE}
        assert set(CAPTURE_MACHINE[state]) == {*answers, *requests}


def test_behind_the_pivot_there_is_only_forward() -> None:
    """No answer and no request leads an order back from there."""
    for machine in (CAPTURE_MACHINE, RETRIABLE_MACHINE):
        for state, inputs in machine.items():
            if machine is CAPTURE_MACHINE and state not in (State.CAPTURING, State.CAPTURED):
                continue
            for transition in inputs.values():
                assert transition.output is not OutsideOutput.SEND_BACK
                assert transition.to in (None, State.DOING, State.DONE, State.CAPTURING, State.CAPTURED)


def test_an_order_is_completed_when_it_is_captured_and_not_when_it_is_shipped() -> None:
    given(SHIPPING).when(ship(HELD)).then(capture(HELD))
    at(State.CAPTURING).when(captured()).then(completed())


def test_an_order_that_cannot_be_cancelled_any_more_is_pushed_forward() -> None:
    story = given(SHIPPING, ship(HELD))
    (undo,) = [route.abort(HELD, Reason.REQUESTED)]
    story.when(undo).then(capture(HELD))


def test_an_answer_that_says_nothing_counts_for_the_row_that_asked() -> None:
    story = at(State.CAPTURING)
    version = story.row().version
    story.when(answered(Outcome.PENDING, "pi_1", version, code="requires_capture")).then()
    assert effect(story).tries == 1
    story.when(answered(Outcome.UNKNOWN, "pi_1", version)).then().changes_nothing()


def test_an_order_that_is_paid_inside_passes_without_effect() -> None:
    story = given(PAYMENT, deposit(), pay(INSIDE))
    for _ in range(2):
        story.when(capture(INSIDE)).then(completed()).changes_nothing().verdict(Verdict.REPEATED)
    assert story.row().state is State.DONE


def test_an_order_of_nothing_passes_without_effect() -> None:
    free = order(amount="0.00", payment_method="stripe:pm_1", route=CAPTURED_LATER)
    given(PAYMENT, pay(free)).when(capture(free)).then(completed()).changes_nothing()


@pytest.mark.parametrize("undone", [False, True])
def test_what_was_never_paid_is_not_captured(undone: bool) -> None:
    before: list[Record] = [deposit(), pay(INSIDE), refund(INSIDE)] if undone else []
    story = given(PAYMENT, *before)
    story.when(capture(INSIDE)).is_dead(Fault.CONTRADICTION if undone else Fault.UNKNOWN_ORDER)


def test_a_replay_sends_the_outcome_again_and_decides_nothing() -> None:
    records = PATHS[State.CAPTURED]
    story = given(PAYMENT, *records)
    for offset, record in enumerate(records):
        story.when(record, offset).then(completed()).changes_nothing()


def test_a_replay_behind_lost_rows_decides_the_same_again() -> None:
    records = PATHS[State.CAPTURED]
    story = given(PAYMENT, *records)
    row = story.row()
    story.lose("payments")
    for offset, record in enumerate(records):
        story.when(record, offset)
    story.then(completed())
    assert story.row() == row


def test_the_row_says_when_the_authorisation_runs_out_until_it_is_captured() -> None:
    story = at(State.DONE)
    assert story.row().held_until == SOON
    assert b'"capture_before":%d' % SOON in story.row().encode()
    assert at(State.CAPTURING).row().held_until == SOON
    for state in (State.CAPTURED, State.UNDOING, State.UNDONE):
        assert at(state).row().held_until is None


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNDONE])
def test_an_authorisation_that_ran_out_is_settled_by_a_person_and_the_order_is_completed(
    outcome: Outcome,
) -> None:
    story = at(State.CAPTURING).when(answered(outcome, "pi_1")).then()
    assert story.row().conflict == f"{outcome}:pi_1"
    story.when(captured("pi_2")).then().changes_nothing()
    story.when(captured("pi_2", settles=True)).then(completed())
    row = story.row()
    assert (row.state, row.conflict, effect(story).reference) == (State.CAPTURED, None, "pi_2")


def test_a_person_may_settle_that_it_was_captured_under_its_own_name() -> None:
    story = at(State.CAPTURING).when(answered(Outcome.UNDONE, "pi_1"))
    story.when(captured(settles=True)).then(completed())
    assert (story.row().conflict, effect(story).reference) == (None, "pi_1")


def test_a_second_payment_is_a_conflict_behind_the_pivot_too() -> None:
    story = at(State.CAPTURED).when(captured("pi_2")).then()
    assert story.row().conflict == "captured:pi_2"


def test_an_order_that_takes_its_money_in_one_step_has_no_capture() -> None:
    whole = order(customer_id="c1", payment_method="stripe:pm_1")
    assert not route.is_captured_later(whole)
    given(SHIPPING).when(ship(whole)).then(completed())


def effect(story: Story) -> OutsideEffect:
    found = story.row().outside
    assert found is not None
    return found


class Parcels:
    """A rule behind the pivot, that says no as long as somebody wants it to."""

    accepts = ()
    balances = None
    no: Reason | None = None
    provider: Outside | None = None

    def __init__(self) -> None:
        self.step = Step(
            StepName.SHIPPING,
            do=route.step(StepName.SHIPPING).do,
            undo=None,
            journal="shipments",
            done="sent",
            undone="",
            kind=StepKind.RETRIABLE,
        )
        self.journal = self.step.journal

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        return self.no or {}

    def outside(self, order: Order, rows: Rows) -> Outside | None:
        return self.provider

    def supply(self, record: Record, at: Position, rows: Rows) -> Any:
        raise AssertionError


def test_a_step_behind_the_pivot_that_says_no_calls_people_and_is_asked_again() -> None:
    rule = Parcels()
    story = given(Participant(rule))
    rule.no = Reason.OUT_OF_STOCK
    for _ in range(2):
        story.when(ship(order())).then().changes_nothing()
        assert story.decision is not None and story.decision.alarm
    rule.no = None
    story.when(ship(order())).verdict(Verdict.APPLIED)
    assert story.row().state is State.DONE
    story.when(ship(order())).verdict(Verdict.REPEATED)


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNDONE])
def test_a_provider_behind_the_pivot_that_says_no_is_in_conflict_and_the_order_waits(
    outcome: Outcome,
) -> None:
    rule = Parcels()
    rule.provider = Outside("courier")
    story = given(Participant(rule)).when(ship(order())).then()
    says: dict[str, Any] = {"step": StepName.SHIPPING, "key": "o1"}
    story.when(answered(outcome, "t1", **says)).then()
    assert (story.row().state, story.row().conflict) == (State.DOING, f"{outcome}:t1")
    story.when(answered(Outcome.DONE, "t1", **says))
    assert story.row().state is State.DONE


def test_the_machine_of_retriable_steps_never_sends_back() -> None:
    for state, inputs in participant.RETRIABLE_MACHINE.items():
        for transition in inputs.values():
            assert transition.to in (None, State.DONE), state
            assert transition.output is not participant.StepOutput.SEND_BACK
    for machine, state in product((CAPTURE_MACHINE, RETRIABLE_MACHINE), ASKED_STATES):
        if state in machine:
            assert machine[state][OutsideInput.AGAIN].output is OutsideOutput.NOTHING
