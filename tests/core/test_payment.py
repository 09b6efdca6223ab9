"""Payment: its refusals, the amounts that it moves, deposits and policies."""

from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.payment import refuse
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.rows import State
from tests.support.examples import (
    account,
    cancelled,
    countries,
    deposit,
    limit,
    order,
    pay,
    refund,
    reserve,
    withdrawal,
)
from tests.support.given import PAYMENT, given


@pytest.mark.parametrize(
    ("amount", "reason"),
    [("0.00", None), ("999.99", None), ("1000.00", Reason.OVER_LIMIT), ("1000.01", Reason.OVER_LIMIT)],
)
def test_an_order_of_the_limit_or_more_is_refused(amount: str, reason: Reason | None) -> None:
    assert refuse(order(amount=amount), None, Decimal(1000)) is reason


@pytest.mark.parametrize(
    ("balance", "reason"),
    [("39.99", Reason.INSUFFICIENT_FUNDS), ("40.00", None), ("40.01", None), (None, None)],
)
def test_an_account_must_cover_the_amount_where_there_is_one(
    balance: str | None, reason: Reason | None
) -> None:
    of = None if balance is None else account(0, balance, balance)
    assert refuse(order(amount="40.00"), of, Decimal(1000)) is reason


def test_over_the_limit_is_said_before_insufficient_funds() -> None:
    assert refuse(order(amount="2000.00"), account(0, "1", "1"), Decimal(1000)) is Reason.OVER_LIMIT


def test_a_refusal_says_why_and_where_and_moves_nothing() -> None:
    of = order(amount="1000.00", customer_id="c1")
    story = given(PAYMENT, deposit(amount="5000.00")).when(pay(of))
    story.then(cancelled("o1", Reason.OVER_LIMIT, StepName.PAYMENT)).verdict(Verdict.APPLIED)
    row = story.row()
    assert (row.state, row.reason, row.step) == (State.REFUSED, Reason.OVER_LIMIT, StepName.PAYMENT)
    assert (row.version, row.done_at, row.undone_at, row.moves) == (1, None, None, None)
    assert story.account() == account(0, "5000.00", "5000.00")


def test_accepting_takes_the_amount_and_undoing_gives_it_back() -> None:
    of = order(amount="40.10", customer_id="c1")
    story = given(PAYMENT, deposit(amount="100.00")).when(pay(of)).then(reserve(of))
    assert story.account() == account(1, "100.00", "59.90")
    assert (story.row().done_at, story.row().moves) == (1, {"c1:GBP": Decimal("-40.10")})
    story.when(refund(of)).then(cancelled())
    assert story.account() == account(2, "100.00", "100.00")
    assert (story.row().done_at, story.row().undone_at) == (1, 2)


def test_a_customer_without_an_account_pays_per_order_and_nothing_is_moved() -> None:
    of = order(amount="999.99", customer_id="c1")
    story = given(PAYMENT).when(pay(of)).then(reserve(of))
    assert story.row().moves is None
    assert story.rows.balance("c1:GBP") is None


def test_an_order_without_a_customer_pays_per_order() -> None:
    of = order(amount="999.99")
    given(PAYMENT, deposit()).when(pay(of)).then(reserve(of))


def test_a_customer_with_an_account_has_no_funds_in_another_currency() -> None:
    in_yen = order(amount="900", currency="JPY", customer_id="c1")
    story = given(PAYMENT, deposit(amount="1000.00", currency="GBP")).when(pay(in_yen))
    story.then(cancelled("o1", Reason.INSUFFICIENT_FUNDS, StepName.PAYMENT))
    assert story.account("c1:GBP").balance == 1000


def test_accounts_in_two_currencies_pay_each_for_its_own() -> None:
    in_yen = order(amount="900", currency="JPY", customer_id="c1")
    story = given(PAYMENT, deposit("d1", "1.00"), deposit("d2", "1000", currency="JPY")).when(pay(in_yen))
    story.then(reserve(in_yen))
    assert [story.account(f"c1:{each}").balance for each in ("GBP", "JPY")] == [1, 100]


def test_an_order_of_nothing_needs_no_account_in_its_currency() -> None:
    free = order(amount="0", currency="JPY", customer_id="c1")
    given(PAYMENT, deposit(amount="1.00")).when(pay(free)).then(reserve(free))


def test_the_account_of_a_customer_whose_name_begins_alike_is_no_account() -> None:
    in_yen = order(amount="900", currency="JPY", customer_id="c1")
    given(PAYMENT, deposit(customer_id="c11"), deposit(customer_id="c")).when(pay(in_yen)).then(
        reserve(in_yen)
    )


def test_a_deposit_id_counts_once_for_each_customer() -> None:
    """Two customers' deposits are in different partitions: no worker sees both."""
    story = given(
        PAYMENT, deposit("d1", "1.00", "c1"), deposit("d1", "1.00", "c1"), deposit("d1", "1.00", "c2")
    )
    assert [story.account(f"{each}:GBP").balance for each in ("c1", "c2")] == [1, 1]


def test_an_undo_gives_back_the_amount_taken_even_if_an_account_was_opened_since() -> None:
    """The amount comes from the row: this order was paid when there was no account."""
    of = order(customer_id="c1")
    story = given(PAYMENT, pay(of), deposit(amount="100.00")).when(refund(of)).then(cancelled())
    assert story.account().balance == Decimal("100.00")


def test_an_undo_gives_back_the_amount_taken_even_if_the_policy_changed_since() -> None:
    of = order(amount="40.00", customer_id="c1")
    story = given(PAYMENT, deposit(amount="100.00"), pay(of), limit("p", "1.00"))
    story.when(refund(of)).then(cancelled())
    assert story.account().balance == Decimal("100.00")


def test_a_deposit_opens_the_account_and_adds_to_it() -> None:
    story = given(PAYMENT, deposit("d1", "100.00"), deposit("d2", "0.01"))
    assert story.account() == account(1, "100.01", "100.01")
    assert story.row("deposit:c1:d1").moves == {"c1:GBP": Decimal("100.00")}
    story.then()


def test_a_deposit_twice_is_once() -> None:
    story = given(PAYMENT, deposit()).when(deposit()).then().changes_nothing().verdict(Verdict.REPEATED)
    assert story.account().balance == 100


@pytest.mark.parametrize(
    "other", [deposit(amount="100.01"), deposit(currency="EUR"), deposit(amount="100", currency="JPY")]
)
def test_another_deposit_under_the_same_id_is_a_dead_letter(other: object) -> None:
    given(PAYMENT, deposit()).when(other).is_dead(Fault.DIFFERENT_CONTENT)  # type: ignore[arg-type]


def test_the_same_amount_in_another_spelling_is_the_same_deposit() -> None:
    given(PAYMENT, deposit(amount="100.00")).when(deposit(amount="100")).changes_nothing().then()


def test_a_deposit_id_is_the_customers_own() -> None:
    story = given(PAYMENT, deposit("d1", customer_id="c1"), deposit("d1", customer_id="c2"))
    assert story.account("c1:GBP").balance == story.account("c2:GBP").balance == 100


def test_ids_of_deposits_and_policies_are_not_ids_of_orders() -> None:
    of = order("x", customer_id="c1")
    story = given(PAYMENT, deposit("x"), limit("x", "500.00"), pay(of)).then(reserve(of))
    assert story.account().balance == 60


def test_the_limit_in_force_is_the_one_with_the_highest_version() -> None:
    story = given(PAYMENT, limit("z", "50.00"), limit("a", "30.00"))
    story.when(pay(order("o1", "30.00"))).then(cancelled("o1", Reason.OVER_LIMIT, StepName.PAYMENT))
    story.when(pay(order("o2", "29.99")))
    assert story.row("o2").state is State.DONE


def test_a_policy_twice_is_once_and_does_not_come_into_force_again() -> None:
    story = given(PAYMENT, limit("a", "50.00"), limit("b", "30.00"))
    story.when(limit("a", "50.00")).then().changes_nothing()
    story.when(pay(order("o1", "40.00")))
    assert story.row("o1").state is State.REFUSED


def test_another_policy_under_the_same_id_is_a_dead_letter() -> None:
    given(PAYMENT, limit("a", "50.00")).when(limit("a", "51.00")).is_dead(Fault.DIFFERENT_CONTENT)


def test_a_policy_decides_later_orders_and_changes_no_earlier_decision() -> None:
    of = order("o1", "40.00")
    story = given(PAYMENT, pay(of), limit("a", "30.00")).when(pay(of)).then(reserve(of)).changes_nothing()
    assert story.row("o1").state is State.DONE


def test_a_policy_of_shipping_is_a_dead_letter_here() -> None:
    given(PAYMENT).when(countries("p", "GB")).is_dead(Fault.INVALID)


def test_a_limit_of_zero_refuses_everything() -> None:
    given(PAYMENT, limit("a", "0")).when(pay(order(amount="0.00"))).then(
        cancelled("o1", Reason.OVER_LIMIT, StepName.PAYMENT)
    )


CENTS = st.decimals("0.01", "900.00", places=2)


@for_all(
    deposited=st.lists(CENTS, min_size=1, max_size=5), wanted=st.lists(CENTS, max_size=8), back=st.data()
)
def test_money_is_conserved_and_no_account_is_below_zero(
    deposited: list[Decimal], wanted: list[Decimal], back: st.DataObject
) -> None:
    story = given(PAYMENT, *(deposit(f"d{n}", str(each)) for n, each in enumerate(deposited)))
    orders = [order(f"o{n}", str(each), customer_id="c1") for n, each in enumerate(wanted)]
    for each in orders:
        story.when(pay(each))
        assert story.account().balance >= 0
    for each in back.draw(st.lists(st.sampled_from(orders), max_size=8)) if orders else []:
        story.when(refund(each))
        assert story.account().balance >= 0
    held = sum((each.amount for each in orders if story.row(each.order_id).state is State.DONE), Decimal(0))
    assert story.account().deposited == sum(deposited)
    assert story.account().balance == sum(deposited) - held


def test_a_withdrawal_takes_what_is_there_and_counts_once() -> None:
    story = given(PAYMENT, deposit(), withdrawal(), withdrawal()).verdict(Verdict.REPEATED)
    assert story.account() == account(1, "80.00", "80.00")
    assert story.row("withdrawal:c1:w1").cause == "payout"


@pytest.mark.parametrize(
    ("before", "left"),
    [
        ([], "100.00"),
        ([deposit("d1", "19.99")], "119.99"),
        ([deposit("d1", "50.00", currency="EUR")], "100.00"),
    ],
)
def test_a_withdrawal_of_more_than_is_there_is_refused_for_good(before: list[Record], left: str) -> None:
    story = given(PAYMENT, *before, withdrawal(), deposit("d2")).when(withdrawal()).verdict(Verdict.REPEATED)
    row = story.row("withdrawal:c1:w1")
    assert (row.state, row.reason) == (State.REFUSED, Reason.INSUFFICIENT_FUNDS)
    assert story.account().balance == Decimal(left)


def test_a_refused_withdrawal_opens_no_account() -> None:
    given(PAYMENT, withdrawal()).when(pay(order(customer_id="c1"))).then(reserve(order(customer_id="c1")))
