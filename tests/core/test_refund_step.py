"""Refunds at payment and inventory: each part once, whatever is repeated or replayed."""

import pytest

from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import Record, RefundReason
from saga_app.core.refund_rows import RefundState
from saga_app.core.rows import JournalRow
from tests.support.examples import (
    account,
    delivery,
    deposit,
    order,
    orders_evicted,
    part,
    pay,
    refund,
    refund_completed,
    refund_refused,
    repay,
    reserve,
    restock,
    step_request,
    stock,
)
from tests.support.given import INVENTORY, PAYMENT, Story, given

ORDER = order(customer_id="c1", lines=[("a", 2)])
MONEY = part("r1", "15.00")
GOODS = part("r1", "15.00", lines=[("a", 1)], restock=True)


def paid() -> Story:
    return given(PAYMENT, deposit(), pay(ORDER))


def reserved() -> Story:
    return given(INVENTORY, delivery("d1", a=4), reserve(ORDER))


def test_payment_gives_the_money_back_and_ends_a_refund_without_goods() -> None:
    story = paid().when(repay(ORDER, MONEY)).then(refund_completed())
    assert story.account() == account(2, "100.00", "75.00")
    assert story.row().refunds[0].state is RefundState.DONE
    assert JournalRow.decode(story.row().encode()) == story.row()


def test_payment_sends_a_refund_with_goods_on_to_inventory() -> None:
    paid().when(repay(ORDER, GOODS)).then(restock(ORDER, GOODS))


def test_inventory_restocks_and_ends_the_refund() -> None:
    story = reserved().when(restock(ORDER, GOODS)).then(refund_completed())
    assert story.stock("a") == stock(2, 4, 3)


def test_a_customer_without_an_account_gets_the_money_without_a_move() -> None:
    story = given(PAYMENT, pay(ORDER)).when(repay(ORDER, MONEY)).then(refund_completed())
    assert story.row().refunds[0].moves == {}


def test_a_part_is_done_once() -> None:
    story = paid().when(repay(ORDER, MONEY))
    story.when(repay(ORDER, MONEY)).then(refund_completed()).verdict(Verdict.REPEATED)
    assert story.account() == account(2, "100.00", "75.00")
    story = reserved().when(restock(ORDER, GOODS))
    story.when(restock(ORDER, GOODS)).then(refund_completed()).verdict(Verdict.REPEATED)
    assert story.stock("a") == stock(2, 4, 3)


def test_payment_gives_no_more_back_than_was_paid() -> None:
    story = paid().when(repay(ORDER, part("r1", "30.00")))
    story.when(repay(ORDER, part("r2", "10.01"))).then(refund_refused("r2", RefundReason.MORE_THAN_PAID))
    story.when(repay(ORDER, part("r2", "10.01"))).then(refund_refused("r2", RefundReason.MORE_THAN_PAID))
    story.when(repay(ORDER, part("r3", "10.00"))).then(refund_completed("r3"))
    assert story.account() == account(5, "100.00", "100.00")


def test_inventory_restocks_no_more_than_was_taken() -> None:
    story = reserved().when(restock(ORDER, GOODS))
    story.when(restock(ORDER, part("r2", "0.00", lines=[("a", 2)], restock=True))).is_dead(
        Fault.CONTRADICTION
    )


@pytest.mark.parametrize(
    "story", [given(PAYMENT), given(PAYMENT, refund(ORDER)), given(PAYMENT, pay(ORDER), refund(ORDER))]
)
def test_only_an_order_that_is_paid_has_refunds(story: Story) -> None:
    story.when(repay(ORDER, MONEY)).is_dead(Fault.CONTRADICTION)


def test_an_order_with_refunds_is_not_compensated() -> None:
    paid().when(repay(ORDER, MONEY)).when(refund(ORDER)).is_dead(Fault.CONTRADICTION)


def test_another_content_under_a_known_id_is_a_dead_letter() -> None:
    paid().when(repay(ORDER, MONEY)).when(repay(ORDER, part("r1", "16.00"))).is_dead(Fault.DIFFERENT_CONTENT)


def test_a_balance_that_was_lost_comes_back_from_the_row() -> None:
    story = paid().when(repay(ORDER, MONEY)).when(repay(ORDER, part("r2", "5.00")))
    story.lose("accounts")
    again: tuple[Record, ...] = (deposit(), pay(ORDER), repay(ORDER, MONEY), repay(ORDER, part("r2", "5.00")))
    for offset, record in enumerate(again):
        story.when(record, offset=offset)
    assert story.account() == account(3, "100.00", "80.00")


def test_a_refund_that_came_before_the_payment_stays_a_dead_letter_on_a_replay() -> None:
    story = given(PAYMENT)
    story.when(repay(ORDER, MONEY)).is_dead(Fault.CONTRADICTION)
    story.when(pay(ORDER))
    story.when(repay(ORDER, MONEY), offset=0).is_dead(Fault.CONTRADICTION)


def test_totals_of_evicted_orders_have_their_refunds() -> None:
    first = step_request(pay(ORDER))
    story = given(PAYMENT, deposit(), first, step_request(repay(ORDER, MONEY)), orders_evicted(0, 1, "o1"))
    total = story.rows.entry("evicted:c1:GBP")
    assert str(getattr(total, "moved", None)) == "-25.00"
    story.when(step_request(repay(ORDER, MONEY))).then().verdict(Verdict.IGNORED)
