"""The checkout machine: every cell on purpose. The table is that of `docs/reference/machines.md#checkout`."""

import pytest

from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.numbers import Offset, version_at
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.retention.rows import EarlyCancellation
from saga_app.core.rows import Status
from tests.support.examples import (
    call_off,
    cancel,
    cancelled,
    completed,
    deadline,
    deposit,
    order,
    pay,
    placed,
)
from tests.support.given import BEGINNING, CHECKOUT, SECOND, Story, given

OF = placed().order
STATES: dict[str, list[Record]] = {
    "none": [],
    "VOID": [cancel()],
    "OPEN": [placed()],
    "CANCELLING": [placed(), cancel()],
    "COMPLETED": [placed(), completed()],
    "CANCELLED": [placed(), cancelled("o1", Reason.OVER_LIMIT, StepName.PAYMENT)],
}
RECORDS: dict[str, Record] = {
    "OrderPlaced": placed(),
    "OrderPlaced, other content": placed(amount="41.00"),
    "OrderCompleted": completed(),
    "OrderCancelled": cancelled("o1", Reason.OUT_OF_STOCK, StepName.INVENTORY),
    "CancellationRequested": cancel(),
    "DeadlinePassed": deadline(),
    "DeadlinePassed, last": deadline(last=True),
    "DeadlinePassed, stale": deadline(attempt=7),
}
START, ABORT, NOTHING = "start", "abort", "nothing"
NO_CHANGE = None
UNKNOWN, DIFFERENT, CONTRADICTION = Fault.UNKNOWN_ORDER, Fault.DIFFERENT_CONTENT, Fault.CONTRADICTION

#: (state, record) -> (next state or no change, what is sent), or the reason of a dead letter.
EXPECTED: dict[tuple[str, str], tuple[str | None, str] | Fault] = {
    ("none", "OrderPlaced"): ("OPEN", START),
    ("none", "OrderPlaced, other content"): ("OPEN", START),
    ("none", "OrderCompleted"): UNKNOWN,
    ("none", "OrderCancelled"): UNKNOWN,
    ("none", "CancellationRequested"): ("VOID", NOTHING),
    ("none", "DeadlinePassed"): (NO_CHANGE, NOTHING),
    ("none", "DeadlinePassed, last"): (NO_CHANGE, NOTHING),
    ("none", "DeadlinePassed, stale"): (NO_CHANGE, NOTHING),
    ("VOID", "OrderPlaced"): ("CANCELLING", ABORT),
    ("VOID", "OrderPlaced, other content"): ("CANCELLING", ABORT),
    ("VOID", "OrderCompleted"): UNKNOWN,
    ("VOID", "OrderCancelled"): UNKNOWN,
    ("VOID", "CancellationRequested"): (NO_CHANGE, NOTHING),
    ("VOID", "DeadlinePassed"): (NO_CHANGE, NOTHING),
    ("VOID", "DeadlinePassed, last"): (NO_CHANGE, NOTHING),
    ("VOID", "DeadlinePassed, stale"): (NO_CHANGE, NOTHING),
    ("OPEN", "OrderPlaced"): (NO_CHANGE, START),
    ("OPEN", "OrderPlaced, other content"): DIFFERENT,
    ("OPEN", "OrderCompleted"): ("COMPLETED", NOTHING),
    ("OPEN", "OrderCancelled"): ("CANCELLED", NOTHING),
    ("OPEN", "CancellationRequested"): ("CANCELLING", ABORT),
    ("OPEN", "DeadlinePassed"): ("OPEN", START),
    ("OPEN", "DeadlinePassed, last"): ("CANCELLING", ABORT),
    ("OPEN", "DeadlinePassed, stale"): (NO_CHANGE, NOTHING),
    ("CANCELLING", "OrderPlaced"): (NO_CHANGE, ABORT),
    ("CANCELLING", "OrderPlaced, other content"): DIFFERENT,
    ("CANCELLING", "OrderCompleted"): ("COMPLETED", NOTHING),
    ("CANCELLING", "OrderCancelled"): ("CANCELLED", NOTHING),
    ("CANCELLING", "CancellationRequested"): (NO_CHANGE, NOTHING),
    ("CANCELLING", "DeadlinePassed"): ("CANCELLING", ABORT),
    ("CANCELLING", "DeadlinePassed, last"): ("CANCELLING", ABORT),
    ("CANCELLING", "DeadlinePassed, stale"): (NO_CHANGE, NOTHING),
    ("COMPLETED", "OrderPlaced"): (NO_CHANGE, NOTHING),
    ("COMPLETED", "OrderPlaced, other content"): DIFFERENT,
    ("COMPLETED", "OrderCompleted"): (NO_CHANGE, NOTHING),
    ("COMPLETED", "OrderCancelled"): CONTRADICTION,
    ("COMPLETED", "CancellationRequested"): (NO_CHANGE, NOTHING),
    ("COMPLETED", "DeadlinePassed"): (NO_CHANGE, NOTHING),
    ("COMPLETED", "DeadlinePassed, last"): (NO_CHANGE, NOTHING),
    ("COMPLETED", "DeadlinePassed, stale"): (NO_CHANGE, NOTHING),
    ("CANCELLED", "OrderPlaced"): (NO_CHANGE, NOTHING),
    ("CANCELLED", "OrderPlaced, other content"): DIFFERENT,
    ("CANCELLED", "OrderCompleted"): CONTRADICTION,
    ("CANCELLED", "OrderCancelled"): (NO_CHANGE, NOTHING),
    ("CANCELLED", "CancellationRequested"): (NO_CHANGE, NOTHING),
    ("CANCELLED", "DeadlinePassed"): (NO_CHANGE, NOTHING),
    ("CANCELLED", "DeadlinePassed, last"): (NO_CHANGE, NOTHING),
    ("CANCELLED", "DeadlinePassed, stale"): (NO_CHANGE, NOTHING),
}


def in_state(state: str) -> Story:
    return given(CHECKOUT, *STATES[state])


def sends(output: str, reason: Reason = Reason.REQUESTED, of: str = "40.00") -> list[Record]:
    carried = placed(amount=of).order
    sent: dict[str, list[Record]] = {START: [pay(carried)], ABORT: [call_off(carried, reason)], NOTHING: []}
    return sent[output]


def test_the_table_has_every_state_and_every_record() -> None:
    assert set(EXPECTED) == {(state, record) for state in STATES for record in RECORDS}


@pytest.mark.parametrize(("state", "record"), EXPECTED)
def test_every_record_has_a_transition_in_every_state(state: str, record: str) -> None:
    story = in_state(state).when(RECORDS[record])
    outcome = EXPECTED[state, record]
    if isinstance(outcome, Fault):
        story.is_dead(outcome)
        return
    to, output = outcome
    if state == "VOID" and output == ABORT:
        story.then(cancelled())
        assert story.order().status == to
        return
    timed_out = record == "DeadlinePassed, last" and state == "OPEN"
    amount = "41.00" if "other content" in record else "40.00"
    story.then(*sends(output, Reason.TIMED_OUT if timed_out else Reason.REQUESTED, amount))
    if to is NO_CHANGE:
        story.changes_nothing()
    elif to == "VOID":
        assert story.rows.order("o1") is None
        assert story.rows.entry("cancellation:o1") == EarlyCancellation(version_at(0), BEGINNING)
    else:
        assert story.order().status == to
        assert story.order().version == story.offset - 1
        story.verdict(Verdict.APPLIED)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("record", RECORDS)
def test_a_record_that_changes_the_order_is_the_only_kind_that_raises_its_version(
    state: str, record: str
) -> None:
    outcome = EXPECTED[state, record]
    changes = not isinstance(outcome, Fault) and outcome[0] is not NO_CHANGE
    story = in_state(state).when(RECORDS[record])
    assert (story.rows.bytes != story.before) == changes


def test_the_row_says_when_the_order_was_placed_and_holds_its_normal_form() -> None:
    row = given(CHECKOUT, placed("x"), placed()).order()
    assert (row.version, row.placed_at, row.tries, row.since) == (1, 1, 0, BEGINNING + SECOND)
    assert (row.status, row.ended_at, row.reason, row.step) == (Status.OPEN, None, None, None)
    assert row.order == OF.canonical


def test_an_order_that_a_cancellation_overtook_is_cancelled_when_it_comes_and_no_step_is_asked() -> None:
    story = given(CHECKOUT, cancel(), placed()).then(cancelled())
    row = story.order()
    assert (row.status, row.placed_at, row.tries) == (Status.CANCELLING, 1, 0)
    assert (row.reason, row.step) == (Reason.REQUESTED, StepName.CHECKOUT)
    story.when(placed()).then(cancelled()).when(deadline()).then(cancelled())
    assert story.when(cancelled()).order().status is Status.CANCELLED


def test_a_payment_that_has_begun_is_given_up_by_the_compensations() -> None:
    begun = placed(payment_reference="stripe:pi_1")
    given(CHECKOUT, cancel(), begun).then(call_off(begun.order)).when(deadline()).then(call_off(begun.order))


def test_a_cancellation_meets_one_order_and_none_with_the_same_id_later() -> None:
    story = given(CHECKOUT, cancel(), placed())
    early = story.rows.entry("cancellation:o1")
    assert early == EarlyCancellation(version_at(1), BEGINNING, met_at=Offset(1))
    # As if it were purged.
    del story.rows.bytes["orders", "o1"]
    assert story.when(placed(amount="41.00")).order().status is Status.OPEN


def test_since_is_kafkas_time_of_the_last_change_and_a_repeat_is_none() -> None:
    story = given(CHECKOUT, placed(), placed())
    assert story.order().since == BEGINNING
    assert story.when(cancel()).order().since == BEGINNING + 2 * SECOND


def test_a_completed_order_says_when_it_ended_and_no_reason() -> None:
    row = given(CHECKOUT, placed(), cancel(), completed()).order()
    assert (row.status, row.ended_at, row.reason, row.step) == (
        Status.COMPLETED,
        BEGINNING + 2 * SECOND,
        None,
        None,
    )


def test_a_cancelled_order_says_why_and_where_it_was_turned_round() -> None:
    row = given(CHECKOUT, placed(), cancelled("o1", Reason.OUT_OF_STOCK, StepName.INVENTORY)).order()
    assert (row.status, row.ended_at) == (Status.CANCELLED, BEGINNING + SECOND)
    assert (row.reason, row.step) == (Reason.OUT_OF_STOCK, StepName.INVENTORY)


def test_cancelling_too_late_is_told() -> None:
    story = in_state("COMPLETED").when(cancel())
    assert story.decision is not None and "too late" in (story.decision.note or "")


def test_completing_while_cancelling_is_told() -> None:
    story = in_state("CANCELLING").when(completed())
    assert story.decision is not None and "too late" in (story.decision.note or "")


def test_cancelling_walks_the_route_from_its_end() -> None:
    given(CHECKOUT, placed()).when(cancel()).then(call_off(OF, Reason.REQUESTED, StepName.CHECKOUT))


def test_an_order_placed_in_another_spelling_is_the_same_order() -> None:
    story = given(CHECKOUT, placed(amount="40.00", currency="GBP", warehouse="main"))
    story.when(placed(amount="40")).then(pay(OF)).changes_nothing()


def test_orders_do_not_touch_each_other() -> None:
    story = given(CHECKOUT, placed("a"), placed("b"), cancel("a"))
    assert (story.order("a").status, story.order("b").status) == (Status.CANCELLING, Status.OPEN)


def test_every_step_request_carries_the_order_exactly_as_the_row_has_it() -> None:
    story = given(CHECKOUT, placed()).when(deadline())
    assert story.decision is not None
    assert story.decision.sends[0].order.canonical == story.order().order  # type: ignore[union-attr]


def test_checkout_takes_its_own_records_and_nothing_else() -> None:
    taken = (placed(), completed(), cancelled(), cancel(), deadline())
    assert all(isinstance(record, CHECKOUT.accepts) for record in taken)
    assert not any(isinstance(record, CHECKOUT.accepts) for record in (pay(order()), deposit()))
