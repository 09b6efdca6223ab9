"""Refunds at checkout: every check is made in the row of the order, and a refund ends once."""

from decimal import Decimal

import pytest

from saga_app.core import checkout
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import Record, RefundReason
from saga_app.core.refund import MOST_REFUNDS
from saga_app.core.refund_rows import RefundStatus
from saga_app.core.refunds import MACHINE, RefundInput
from saga_app.core.rows import OrderRow
from tests.support.examples import (
    cancel,
    cancelled,
    completed,
    deadline,
    part,
    placed,
    refund_completed,
    refund_opened,
    refund_refused,
    repay,
    retention_started,
    segments_closed,
    step_request,
)
from tests.support.given import CHECKOUT, SECOND, Story, given

PLACED = placed(
    amount="40.00", customer_id="c1", lines=[{"sku": "a", "quantity": 2}, {"sku": "b", "quantity": 1}]
)
ORDER = PLACED.order


def bought(*more: Record) -> Story:
    """The order has completed, and then more happened."""
    return given(CHECKOUT, PLACED, completed(), *more)


def statuses(row: OrderRow) -> list[str]:
    return [each.status.value for each in row.refunds]


def test_a_refund_of_an_amount_asks_payment_for_it() -> None:
    story = bought().when(refund_opened("r1", "15.00")).then(repay(ORDER, part("r1", "15.00")))
    assert statuses(story.order()) == ["OPEN"] and story.order().has_open_refund


def test_a_whole_refund_gives_back_all_money_and_units_that_are_left() -> None:
    first = refund_opened("r1", "15.00", lines=[("a", 1)], restock=True)
    rest = part("r2", "25.00", lines=[("a", 1), ("b", 1)], restock=True)
    bought(first).when(refund_opened("r2", restock=True)).then(repay(ORDER, rest))


def test_goods_come_back_later_than_money() -> None:
    later = part("r2", "0.00", lines=[("b", 1)], restock=True)
    bought(refund_opened("r1", "40.00"), refund_completed()).when(
        refund_opened("r2", "0", lines=[("b", 1)], restock=True)
    ).then(repay(ORDER, later))


@pytest.mark.parametrize(
    ("before", "refund", "reason"),
    [
        ([], refund_opened("r1", "40.01"), RefundReason.MORE_THAN_PAID),
        ([refund_opened("r0", "30.00")], refund_opened("r1", "10.01"), RefundReason.MORE_THAN_PAID),
        ([refund_opened("r0")], refund_opened("r1"), RefundReason.NOTHING_LEFT),
        ([], refund_opened("r1", "1.00", lines=[("a", 3)]), RefundReason.MORE_THAN_TAKEN),
        ([], refund_opened("r1", "1.00", lines=[("z", 1)]), RefundReason.MORE_THAN_TAKEN),
        (
            [refund_opened("r0", "1.00", lines=[("a", 2)])],
            refund_opened("r1", "1.00", lines=[("a", 1)], restock=True),
            RefundReason.MORE_THAN_TAKEN,
        ),
    ],
)
def test_never_more_goes_back_than_was_paid_and_taken(
    before: list[Record], refund: Record, reason: RefundReason
) -> None:
    story = bought(*before).when(refund).then(refund_refused("r1", reason))
    refused = story.order().refunds[-1]
    assert (refused.status, refused.reason) == (RefundStatus.REFUSED, reason)
    assert refused.ended_at is not None


@pytest.mark.parametrize("story", [(PLACED,), (PLACED, cancel()), (PLACED, cancel(), cancelled())])
def test_an_order_that_is_not_completed_has_no_refund(story: tuple[Record, ...]) -> None:
    told = given(CHECKOUT, *story)
    before = told.order()
    told.when(refund_opened()).then(refund_refused("r1", RefundReason.NOT_COMPLETED))
    after = told.order()
    assert after.refunds[0].reason is RefundReason.NOT_COMPLETED
    # Its deadline does not begin anew.
    assert (after.status, after.tries, before.ended_at) == (before.status, before.tries, after.ended_at)
    assert before.ended_at or after.since == before.since


def test_an_order_that_was_paid_at_a_provider_is_refunded_there() -> None:
    story = given(CHECKOUT, placed(payment_method="stripe:pm_1"), completed())
    assert story.when(refund_opened()).order().refunds[0].reason is RefundReason.PAID_OUTSIDE


def test_what_was_refused_can_be_given_back_by_another_refund() -> None:
    story = bought(refund_opened("r1", "40.00"), refund_refused("r1"))
    story.when(refund_opened("r2", "40.00")).then(repay(ORDER, part("r2", "40.00")))
    assert statuses(story.order()) == ["REFUSED", "OPEN"]


def test_a_refund_that_is_asked_for_again_is_asked_for_once_more_until_it_has_ended() -> None:
    again = refund_opened("r1", "15.00")
    story = bought(again).when(again).then(repay(ORDER, part("r1", "15.00"))).verdict(Verdict.REPEATED)
    story.when(refund_completed())
    story.when(again).then(refund_completed()).verdict(Verdict.REPEATED)
    story.when(refund_completed()).then().verdict(Verdict.IGNORED)


def test_another_content_under_a_known_id_is_a_dead_letter() -> None:
    bought(refund_opened("r1", "15.00")).when(refund_opened("r1", "15.01")).is_dead(Fault.DIFFERENT_CONTENT)


def test_an_amount_has_the_digits_of_its_currency() -> None:
    bought().when(refund_opened("r1", "1.001")).is_dead(Fault.INVALID)


def test_an_unknown_order_has_no_refund() -> None:
    given(CHECKOUT).when(refund_opened()).is_dead(Fault.UNKNOWN_ORDER)


def test_an_order_has_so_many_refunds_and_no_more() -> None:
    story = bought(*(refund_opened(f"r{each}", "0.01") for each in range(MOST_REFUNDS)))
    story.when(refund_opened("more", "0.01")).is_dead(Fault.INVALID)


def test_a_refund_ends_once() -> None:
    story = bought(refund_opened()).when(refund_completed()).then()
    assert statuses(story.order()) == ["COMPLETED"] and not story.order().has_open_refund
    story.when(refund_completed()).then().changes_nothing().verdict(Verdict.IGNORED)
    story.when(refund_refused()).is_dead(Fault.CONTRADICTION)


def test_an_ending_of_a_refund_that_nobody_opened_is_a_dead_letter() -> None:
    bought().when(refund_completed()).is_dead(Fault.UNKNOWN_ORDER)


def test_an_ending_before_its_refund_stays_a_dead_letter_on_a_replay() -> None:
    story = bought()
    story.when(refund_completed()).is_dead(Fault.UNKNOWN_ORDER)
    story.when(refund_opened()).when(refund_completed(), offset=2).is_dead(Fault.UNKNOWN_ORDER)


def test_deadlines_ask_for_open_refunds_again_and_never_give_up() -> None:
    story = bought(refund_opened("r1", "1.00"), refund_opened("r2", "2.00"), refund_completed("r1"))
    for attempt in range(12):
        row = story.order()
        assert row.tries == attempt
        story.when(checkout.deadline("o1", row)).then(repay(ORDER, part("r2", "2.00")))
    assert story.order().status == "COMPLETED"


def test_a_stale_deadline_asks_for_nothing() -> None:
    bought(refund_opened()).when(deadline(attempt=3)).then().verdict(Verdict.IGNORED)


def test_a_replay_sends_what_is_still_under_way() -> None:
    asked = repay(ORDER, part("r1", "40.00"))
    story = bought(refund_opened("r1", "40.00"))
    story.when(deadline(), offset=3)
    story.when(refund_opened("r1", "40.00"), offset=2).then(asked).verdict(Verdict.REPEATED)
    story.when(deadline(), offset=3).then(asked).verdict(Verdict.REPEATED)
    story.when(refund_completed())
    story.when(refund_opened("r1", "40.00"), offset=2).then(refund_completed()).verdict(Verdict.REPEATED)


def test_an_order_with_an_open_refund_keeps_its_segment() -> None:
    retained = (retention_started(), PLACED, step_request(completed(), "0:0"), refund_opened())
    closes = segments_closed(0, 1, "o1")
    story = given(CHECKOUT, *retained).when(closes).verdict(Verdict.IGNORED)
    story.when(step_request(refund_completed(), "0:0")).when(closes).verdict(Verdict.APPLIED)


def test_retention_counts_from_the_last_refund() -> None:
    retained = (retention_started(), PLACED, step_request(completed(), "0:0"), refund_opened())
    story = given(CHECKOUT, *retained, step_request(refund_completed(), "0:0"))
    story.when(segments_closed(0, 1, "o1", retention_ms=2 * SECOND)).verdict(Verdict.IGNORED)
    story.when(segments_closed(0, 1, "o1", retention_ms=2 * SECOND)).verdict(Verdict.APPLIED)


def test_a_closed_order_has_no_refund() -> None:
    story = given(
        CHECKOUT, retention_started(), PLACED, step_request(completed(), "0:0"), segments_closed(0, 1, "o1")
    )
    story.when(refund_opened()).is_dead(Fault.CLOSED_ORDER)
    assert story.rejection is not None and "deposit" in story.rejection.detail


def test_the_machine_has_a_transition_for_every_record_of_a_known_refund() -> None:
    known = {*RefundInput} - {RefundInput.ACCEPTED, RefundInput.REFUSED}
    assert all({*MACHINE[status]} == known for status in RefundStatus)


@pytest.mark.parametrize(
    "fields",
    [
        {"lines": [("a", 1)]},
        {"amount": "-1"},
        {"amount": "1.00", "restock": True},
        {"amount": "0"},
        {"amount": "0", "lines": [("a", 1)]},
    ],
)
def test_a_refund_gives_something_back_that_it_names(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"amount|restock|refund"):
        refund_opened(**fields)  # type: ignore[arg-type]


def test_a_row_with_refunds_reads_back() -> None:
    story = bought(
        refund_opened("r1", "15.00", lines=[("a", 1)], restock=True),
        refund_opened("r2", "99"),
        refund_completed(),
    )
    first, second = story.order().refunds
    assert (first.amount, first.lines, first.restock) == (
        Decimal("15.00"),
        part(lines=[("a", 1)]).lines,
        True,
    )
    assert (second.reason, second.ended_at) == (RefundReason.MORE_THAN_PAID, second.since)
    assert OrderRow.decode(story.order().encode()) == story.order()
