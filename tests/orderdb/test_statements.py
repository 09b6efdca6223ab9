"""Statements of accounts and stock: each movement with the balance after it, on a database of each kind."""

from decimal import Decimal
from typing import Any

import pytest

from saga_app.orderdb.queries.statements import Statement, TooFarBack, of_account, of_article
from tests.orderdb.batches import OrderCopy
from tests.orderdb.test_queries import MUGS, QueryTester
from tests.support.examples import deposit, placed


@pytest.fixture
def asked(copy: OrderCopy) -> QueryTester:
    """500.00 GBP of ada, and 10 MUGs in the warehouse `main`."""
    return QueryTester(copy)


def lines(found: Statement) -> list[tuple[str, str, str, str]]:
    return [(each.what, each.name, f"{each.amount:+}", str(after)) for each, after in found.movements]


def test_deposits_payments_and_refunds_each_have_the_balance_after_them(asked: QueryTester) -> None:
    asked.after(placed("o1", lines=MUGS, customer_id="ada"))
    asked.after(placed("o2", "60.00", lines=MUGS, customer_id="ada", country="KP"))
    asked.after(deposit("d2", "0.50", "ada"), placed("o3", "2000.00", customer_id="ada"))
    found = asked(of_account, "ada", "GBP", 10)
    assert lines(found) == [
        ("deposit", "d2", "+0.50", "460.50"),
        ("refund", "o2", "+60.00", "460.00"),
        ("payment", "o2", "-60.00", "400.00"),
        ("payment", "o1", "-40.00", "460.00"),
        ("deposit", "d1", "+500.00", "500.00"),
    ]
    assert (found.opening, found.closing, found.has_more) == (0, Decimal("460.50"), False)
    times = [each.time for each, _ in found.movements]
    assert None not in times and times == sorted(times, reverse=True)


def test_deliveries_reservations_and_releases_each_have_the_units_after_them(asked: QueryTester) -> None:
    asked.after(placed("o1", lines=MUGS, customer_id="ada"))
    asked.after(placed("o2", lines=MUGS, customer_id="ada", country="KP"))
    found = asked(of_article, "main", "MUG", 10)
    assert lines(found) == [
        ("release", "o2", "+2", "8"),
        ("reservation", "o2", "-2", "6"),
        ("reservation", "o1", "-2", "8"),
        ("delivery", "v1", "+10", "10"),
    ]
    assert lines(asked(of_article, "north", "MUG", 10)) == [("delivery", "v2", "+3", "3")]
    assert asked(of_article, "north", "CUP", 10) is None


def test_what_was_paid_before_the_first_deposit_moved_no_account(asked: QueryTester) -> None:
    asked.after(placed("early", customer_id="bob"), deposit("d9", "100.00", "bob"))
    asked.after(placed("late", customer_id="bob"))
    found = asked(of_account, "bob", "GBP", 10)
    assert [each.name for each, _ in found.movements] == ["late", "d9"]
    assert (found.opening, found.closing) == (0, 60)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_of_a_statement_join_where_one_opens_and_the_next_closes(asked: QueryTester, size: int) -> None:
    for number in range(4):
        asked.after(placed(f"o{number}", "10.00", customer_id="ada"))
    whole = asked(of_account, "ada", "GBP", 10)
    joined: list[Any] = []
    before, closing = None, whole.closing
    while True:
        page = asked(of_account, "ada", "GBP", size, before)
        assert page.closing == closing
        joined += page.movements
        before, closing = page.movements[-1][0].at, page.opening
        if not page.has_more:
            break
    assert joined == whole.movements and closing == 0


def test_a_place_with_too_many_later_movements_is_too_far_back(
    asked: QueryTester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_app.orderdb.queries.statements.MOST_LATER", 2)
    for number in range(3):
        asked.after(placed(f"o{number}", "10.00", customer_id="ada"))
    newest, middle, oldest, _ = (each.at for each, _ in asked(of_account, "ada", "GBP", 10).movements)
    assert asked(of_account, "ada", "GBP", 10, middle).closing == 490
    with pytest.raises(TooFarBack):
        asked(of_account, "ada", "GBP", 10, oldest)
    assert newest > middle > oldest


def test_a_movement_ahead_of_the_balances_row_waits_for_it(asked: QueryTester) -> None:
    """The journal is copied from another topic than the balance."""
    messages = asked.services.send(placed("o1", customer_id="ada"))
    asked.copy.write(*(each for each in messages if not each.topic().endswith("accounts-changelog")))
    found = asked(of_account, "ada", "GBP", 10)
    assert (lines(found), found.closing) == ([("deposit", "d1", "+500.00", "500.00")], 500)
    asked.copy.write(*messages)
    assert asked(of_account, "ada", "GBP", 10).closing == 460


def test_a_delivery_of_several_articles_is_in_each_statement(asked: QueryTester) -> None:
    assert lines(asked(of_article, "main", "CUP", 10)) == [("delivery", "v1", "+5", "5")]
