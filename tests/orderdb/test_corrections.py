"""Withdrawals and adjustments of stock in statements; one that was refused moved nothing, and is told apart."""

from decimal import Decimal

import pytest

from saga_app.core.records import StockReason
from saga_app.orderdb.queries import statements
from tests.orderdb.batches import OrderCopy
from tests.orderdb.test_queries import QueryTester
from tests.support.examples import adjustment, delivery, deposit, withdrawal


@pytest.fixture
def asked(copy: OrderCopy) -> QueryTester:
    return QueryTester(copy)


def test_a_statement_has_withdrawals_with_their_reason(asked: QueryTester):
    asked.after(
        deposit("d9", "100.00", "eve"), withdrawal("w1", "30.00", "eve"), withdrawal("w2", "70.01", "eve")
    )
    found = asked(statements.of_account, "eve", "GBP", 9)
    assert [(each.what, each.name, each.amount, left) for each, left in found.movements] == [
        ("withdrawal, payout", "w1", Decimal(-30), Decimal(70)),
        ("deposit", "d9", Decimal(100), Decimal(100)),
    ]
    assert (found.opening, found.closing) == (0, Decimal(70))
    (refused,) = asked(statements.refused, "eve", "GBP", 9)
    assert (refused["supply_id"], refused["amount"], refused["refused"]) == (
        "w2",
        Decimal("-70.01"),
        "insufficient_funds",
    )


def test_a_statement_of_an_article_has_adjustments(asked: QueryTester):
    asked.after(delivery("d9", "east", TEA=5), adjustment("a1", StockReason.DAMAGE, "east", TEA=-2))
    asked.after(adjustment("a2", StockReason.STOCKTAKE, "east", TEA=4))
    found = asked(statements.of_article, "east", "TEA", 9)
    assert [(each.what, each.amount, left) for each, left in found.movements] == [
        ("adjustment, stocktake", 4, 7),
        ("adjustment, damage", -2, 3),
        ("delivery", 5, 5),
    ]
