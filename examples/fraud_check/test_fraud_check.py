"""The fraud check refuses what it must: a rule is a function, so its test needs no Kafka."""

from decimal import Decimal

import pytest
from fraud_check import RULE

from saga_app.core.decider import Position
from saga_app.core.numbers import Offset
from saga_app.core.records import OrderPlaced, Reason

AT = Position(Offset(0), time=0)


@pytest.mark.parametrize(
    ("customer", "amount", "verdict"),
    [(None, "500.00", {}), ("c1", "500.01", {}), (None, "500.01", Reason.DECLINED)],
)
def test_an_order_without_a_customer_is_cleared_up_to_a_limit(
    customer: str | None, amount: str, verdict: object
) -> None:
    placed = OrderPlaced(order_id="o-1", amount=Decimal(amount), customer_id=customer)
    assert RULE.judge(placed.order, AT, rows=None) == verdict
