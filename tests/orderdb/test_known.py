"""The copy tells if an order is the same one again, as far as it can: the patience in it may be that of a policy."""

import pytest

from saga_app.orderdb.queries.known import KnownOrder
from tests.support.examples import order


@pytest.mark.parametrize(
    ("copied", "asked", "same"),
    [(None, None, True), (None, 60, False), (60, 61, False), (60, 60, None), (60, None, None)],
)
def test_a_patience_that_may_be_of_a_policy_is_not_taken_for_that_of_the_order(
    copied: int | None, asked: int | None, same: bool | None
) -> None:
    known = KnownOrder(order(), None, is_paid_here=True, patience=copied)
    assert known.is_same(order(patience=asked)) is same


def test_another_content_is_another_order_under_any_patience() -> None:
    known = KnownOrder(order(), None, is_paid_here=True, patience=60)
    assert known.is_same(order(amount="41.00")) is False


def test_an_order_on_a_route_of_the_policy_is_the_same_order() -> None:
    copied = order(lines=[("a", 1)])
    known = KnownOrder(copied, None, is_paid_here=True)
    assert known.is_same(copied) is True
