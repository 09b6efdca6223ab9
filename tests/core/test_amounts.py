"""Amounts in parts: lines + shipping + tax - discount = amount, exactly, in whatever currency."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_app.core.money import DIGITS
from saga_app.core.order import Order
from saga_app.core.records import OrderPlaced


def normal(**fields: Any) -> Order:
    return OrderPlaced.model_validate({"order_id": "o1", **fields}).order


def line(quantity: int = 1, **prices: str) -> dict[str, Any]:
    return {"sku": "a", "quantity": quantity, **prices}


def written(units: int, currency: str) -> str:
    """An amount of so many of the smallest units of a currency."""
    return f"{Decimal(units).scaleb(-DIGITS[currency]):f}"


@given(
    st.sampled_from(("GBP", "JPY", "KWD")),
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 10**6)), min_size=1, max_size=4),
    st.tuples(*[st.none() | st.integers(0, 10**6)] * 3),
)
def test_the_amount_is_the_exact_sum_of_its_parts_in_every_currency(
    currency: str, lines: list[tuple[int, int]], parts: tuple[int | None, ...]
) -> None:
    shipping, tax, discount = (each or 0 for each in parts)
    added = sum(quantity * units for quantity, units in lines) + shipping + tax - discount
    given_parts = {
        name: written(each, currency)
        for name, each in zip(("shipping", "tax", "discount"), parts, strict=True)
        if each is not None
    }
    fields = {
        "currency": currency,
        "lines": [line(quantity, unit_price=written(units, currency)) for quantity, units in lines],
        **given_parts,
    }
    if added < 0:
        with pytest.raises(ValueError, match="the discount is more than all else"):
            normal(**fields)
        return
    order = normal(**fields)
    assert str(order.amount) == written(added, currency)
    assert {name: str(getattr(order, name)) for name in given_parts} == given_parts
    assert normal(**fields, amount=written(added, currency)) == order
    assert Order.model_validate_json(order.canonical) == order
    with pytest.raises(ValueError, match="is not the sum of"):
        normal(**fields, amount=written(added + 1, currency))


def test_a_wrong_sum_is_told_with_the_figures() -> None:
    with pytest.raises(ValueError, match="is not the sum") as told:
        normal(amount=40, lines=[line(2, unit_price="17.50")], shipping=5, discount="0.50")
    assert str(told.value) == (
        "amount 40.00 is not the sum of its parts: lines 35.00 + shipping 5.00 - discount 0.50 = 39.50"
    )


def test_parts_alone_must_leave_something_for_lines_without_a_price() -> None:
    assert normal(amount=40, shipping=30, tax=20, discount=10, lines=[line()]).amount == 40
    with pytest.raises(ValueError, match=r"amount 40.00 is less than its parts: lines 0 \+ shipping 41.00"):
        normal(amount=40, shipping=41, lines=[line()])


def test_a_price_has_more_digits_than_the_currency_where_the_total_of_the_line_is_given() -> None:
    assert normal(lines=[line(3, unit_price="0.33333333", total="1")]).amount == 1
    assert normal(currency="JPY", lines=[line(3, unit_price="33.5", total="100")]).amount == 100
    with pytest.raises(ValueError, match="GBP has 2 digits"):
        normal(lines=[line(3, unit_price="0.333")])
    with pytest.raises(
        ValueError, match=r"line a has total 1[.]02, but 3 times unit_price 0[.]333 is 0[.]999"
    ):
        normal(lines=[line(3, unit_price="0.333", total="1.02")])
    with pytest.raises(ValueError, match=r"line a has total 2[.]01, but 2 times unit_price 1[.]00 is 2[.]00"):
        normal(lines=[line(2, unit_price="1.00", total="2.01")])


def test_a_line_may_have_a_total_alone() -> None:
    assert normal(lines=[line(3, total="10"), line(1, unit_price="0.50")]).amount == Decimal("10.50")


def test_parts_stand_behind_the_amount_and_parts_that_are_not_given_are_not_there() -> None:
    order = normal(amount=3, shipping=1, tax=1, discount=0)
    assert order.canonical == (
        b'{"order_id":"o1","currency":"GBP","amount":"3.00","shipping":"1.00","tax":"1.00","discount":"0.00",'
        b'"warehouse":"main","lines":[]}'
    )


@pytest.mark.parametrize("part", ["shipping", "tax", "discount"])
def test_no_part_is_negative_or_has_too_many_digits(part: str) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        normal(amount=3, **{part: "-1.00"})
    with pytest.raises(ValueError, match="GBP has 2 digits"):
        normal(amount=3, **{part: "1.001"})
    with pytest.raises(ValueError, match=r"normal form|more than the amount"):
        Order.model_validate_json(
            normal(amount=3, shipping=1).canonical.replace(b'"shipping":"1.00"', b'"shipping":"9.00"')
        )


def test_kosovo_has_a_code() -> None:
    assert normal(amount=1, country="XK").country == "XK"
