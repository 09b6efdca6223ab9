"""Normal form: every spelling of an order becomes the same one."""

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import ValidationError

from saga_app.core.countries import CODES
from saga_app.core.order import Order
from saga_app.core.records import OrderPlaced


def normal(**fields: Any) -> Order:
    return OrderPlaced.model_validate({"order_id": "o1", **fields}).order


def line(sku: str, quantity: int, price: str | None = None) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, **({} if price is None else {"unit_price": price})}


def test_an_id_and_an_amount_are_a_whole_order() -> None:
    order = OrderPlaced.model_validate({"order_id": 1, "amount": 500}).order
    assert order.canonical == (
        b'{"order_id":"1","currency":"GBP","amount":"500.00","warehouse":"main","lines":[]}'
    )


def test_every_field_has_its_place_in_the_one_spelling() -> None:
    order = normal(customer_id=7, currency="JPY", amount="5", country="FR", warehouse=2, lines=[line("a", 1)])
    assert order.canonical == (
        b'{"order_id":"o1","customer_id":"7","currency":"JPY","amount":"5","country":"FR",'
        b'"warehouse":"2","lines":[{"sku":"a","quantity":1}]}'
    )


@pytest.mark.parametrize("field", ["order_id", "customer_id", "warehouse"])
def test_an_id_may_be_an_integer(field: str) -> None:
    order = normal(**{"amount": 1, field: 12345678901234567890})
    assert getattr(order, field) == "12345678901234567890"


def test_a_sku_may_be_an_integer() -> None:
    assert normal(amount=1, lines=[{"sku": 7, "quantity": 1}]).lines[0].sku == "7"


def test_lines_are_merged_by_sku_and_sorted() -> None:
    order = normal(amount=1, lines=[line("b", 1), line("a", 2), line("b", 3), line("B", 1)])
    assert [(each.sku, each.quantity) for each in order.lines] == [("B", 1), ("a", 2), ("b", 4)]


def test_the_amount_is_computed_from_the_prices_and_the_prices_are_dropped() -> None:
    order = normal(lines=[line("a", 3, "0.10"), line("b", 1, "0.05")])
    assert order.amount == Decimal("0.35")
    assert b"price" not in order.canonical


def test_the_same_sku_may_have_two_prices() -> None:
    order = normal(lines=[line("a", 1, "1.00"), line("a", 2, "0.50")])
    assert (order.amount, order.lines[0].quantity) == (Decimal("2.00"), 3)


def test_amount_and_prices_must_agree() -> None:
    assert normal(amount="2.0", lines=[line("a", 2, "1")]).amount == 2
    with pytest.raises(ValueError, match="sum of the lines"):
        normal(amount="2.01", lines=[line("a", 2, "1")])


def test_where_a_line_has_no_price_the_amount_counts() -> None:
    lines = [line("a", 2, "1.00"), line("b", 1)]
    assert normal(amount="9.00", lines=lines).amount == 9
    with pytest.raises(ValueError, match="amount is required"):
        normal(lines=lines)
    with pytest.raises(ValueError, match="amount is required"):
        normal()


def test_both_may_be_zero() -> None:
    assert normal(amount=0).amount == 0
    assert normal(lines=[line("a", 2, "0")]).amount == 0
    assert normal(amount="-0.00").canonical == normal(amount=0).canonical


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "-0.01"},
        {"amount": "0.001"},
        {"amount": "1000000000000.01"},
        {"lines": [line("a", 1, "-1.00")]},
        {"lines": [line("a", 1, "0.005"), line("b", 1, "0.005")]},
        {"amount": 5, "lines": [line("a", 1, "-1.00"), line("b", 1)]},
        {"amount": 5, "lines": [line("b", 1), line("a", 1, "-1.00")]},
        {"amount": 5, "lines": [line("a", 1, "1.005"), line("b", 1)]},
        {"amount": 5, "lines": [line("b", 1), line("a", 1, "1.005")]},
        {"lines": [line("a", 1_000_000, "999999999999.99")]},
        {"amount": 1, "lines": [line("a", 1_000_000), line("a", 1)]},
        {"amount": 1, "currency": "XXX"},
        {"amount": 1, "currency": "gbp"},
        {"amount": 1, "currency": []},
        {"amount": 1, "country": "UK"},
        {"amount": 1, "country": {}},
        {"amount": 1, "lines": [line("a", 0)]},
        {"amount": 1, "lines": [line("a", 1_000_001)]},
        {"amount": 1, "lines": [line(f"s{each}", 1) for each in range(2_001)]},
    ],
)
def test_an_order_that_breaks_a_rule_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"amount|currency|country|lines|quantity|price|digits"):
        normal(**fields)


def test_2000_lines_are_allowed() -> None:
    assert len(normal(amount=1, lines=[line(f"s{each}", 1) for each in range(2_000)]).lines) == 2_000


def test_prices_of_large_orders_are_added_exactly() -> None:
    lines = [line(f"s{each}", 999_999, "0.01") for each in range(2_000)]
    assert normal(lines=lines).amount == Decimal("19999980.00")


def test_there_are_249_countries_and_kosovo() -> None:
    assert len(CODES) == 250


LINES = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 9)), min_size=1, max_size=8)


@for_all(LINES, st.randoms(use_true_random=False))
def test_the_sequence_of_the_lines_does_not_matter(
    lines: list[tuple[str, int]], chance: random.Random
) -> None:
    shuffled = list(lines)
    chance.shuffle(shuffled)
    first = normal(lines=[line(sku, quantity, "1.25") for sku, quantity in lines])
    second = normal(lines=[line(sku, quantity, "1.25") for sku, quantity in shuffled])
    assert first.canonical == second.canonical and first.digest == second.digest
    assert first.amount == Decimal("1.25") * sum(quantity for _, quantity in lines)


@for_all(LINES)
def test_a_normal_form_is_its_own_normal_form(lines: list[tuple[str, int]]) -> None:
    order = normal(amount="3.50", lines=[line(sku, quantity) for sku, quantity in lines])
    again = OrderPlaced.model_validate(order.model_dump(exclude_none=True)).order
    assert again.canonical == order.canonical


PRICES = st.none() | st.decimals("0", "99", places=2).map(str)
PLACED = st.fixed_dictionaries(
    {
        "order_id": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True)
        | st.integers(0, 10**20),
        "amount": st.none() | st.decimals("0", "1000", places=2),
        "lines": st.lists(
            st.fixed_dictionaries(
                {
                    "sku": st.sampled_from("abcde") | st.integers(1, 3),
                    "quantity": st.sampled_from([1, 7, 999_999, 1_000_000]),
                    "unit_price": PRICES,
                }
            ),
            max_size=5,
        ),
    },
    optional={
        "customer_id": st.none() | st.just("c-1") | st.integers(0, 9),
        "currency": st.sampled_from(["GBP", "JPY", "BHD"]),
        "country": st.none() | st.just("FR"),
        "warehouse": st.just("w.1") | st.integers(0, 9),
    },
)


@for_all(PLACED)
def test_the_normal_form_of_any_order_is_one_that_every_step_request_may_carry(
    placed: Any,
) -> None:
    try:
        order = OrderPlaced.model_validate(placed).order
    except ValueError:
        return
    assert Order.model_validate_json(order.canonical) == order


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": Decimal(1)},
        {"amount": Decimal("1.000")},
        {"amount": Decimal("-1.00")},
        {"lines": [{"sku": "b", "quantity": 1}, {"sku": "a", "quantity": 1}]},
        {"lines": [{"sku": "a", "quantity": 1}, {"sku": "a", "quantity": 1}]},
        {"lines": [{"sku": "a", "quantity": 1, "unit_price": "1.00"}]},
        {"warehouse": None},
        {"currency": None},
    ],
)
def test_an_order_that_is_not_in_normal_form_is_no_order(fields: dict[str, Any]) -> None:
    whole = {"order_id": "1", "currency": "GBP", "amount": Decimal("1.00"), "warehouse": "main", "lines": []}
    Order.model_validate(whole)
    with pytest.raises(ValidationError):
        Order.model_validate({**whole, **fields})
