"""The demo's orders and the stock that lets every kind of ending occur."""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pytest

from saga_app.core import inventory, payment, records, shipping
from saga_app.core.fields import LARGEST_QUANTITY
from saga_app.core.numbers import NEVER
from saga_app.core.order import Order, merged
from saga_app.core.rows import Stock
from saga_app.demo import retail

ORDERS_IN_FILE = 20_714
ENDINGS = {"completed", "over_limit", "out_of_stock", "undeliverable"}

Payloads = Sequence[dict[str, Any]]


def received(deliveries: Payloads) -> Counter[str]:
    """Units by article, each delivery once and checked by the core's model."""
    total: Counter[str] = Counter()
    for delivery in {delivery["delivery_id"]: delivery for delivery in deliveries}.values():
        lines = records.StockReceived.model_validate(delivery).lines
        total.update({line.sku: line.quantity for line in merged((x.sku, x.quantity) for x in lines)})
    return total


def journey(order: Order, stock: Counter[str], endings: dict[str, str]) -> Iterator[None]:
    """One order's way by the core's own rules; others may go on wherever this one pauses."""
    if reason := payment.refuse(order, None, payment.LIMIT):
        endings[order.order_id] = reason
        return
    yield
    wanted = [(Stock(NEVER, 0, stock[x.sku]) if x.sku in stock else None, x.quantity) for x in order.lines]
    if reason := inventory.refuse(wanted):
        endings[order.order_id] = reason
        return
    stock.subtract({line.sku: line.quantity for line in order.lines})
    yield
    if reason := shipping.refuse(order, shipping.COUNTRIES):
        endings[order.order_id] = reason
        yield
        stock.update({line.sku: line.quantity for line in order.lines})
        return
    endings[order.order_id] = "completed"


def one_after_the_other(placed: Payloads) -> dict[str, str]:
    stock, endings = received(retail.deliveries(placed)), dict[str, str]()
    for order in placed:
        for _ in journey(records.OrderPlaced.model_validate(order).order, stock, endings):
            pass
    return endings


def interleaved(placed: Payloads, seed: int) -> dict[str, str]:
    """All at once: a chance that can be repeated says who goes on, and how late stock is given back."""
    stock, endings, chance = received(retail.deliveries(placed)), dict[str, str](), random.Random(seed)
    journeys = [journey(records.OrderPlaced.model_validate(order).order, stock, endings) for order in placed]
    while journeys:
        turn = chance.choice(journeys)
        if next(turn, "ended") == "ended":
            journeys.remove(turn)
    return endings


@pytest.mark.slow("every order of the file")
def test_each_order_of_the_file_is_valid_and_its_amount_is_the_sum_of_its_lines() -> None:
    ids = set()
    for placed in retail.orders():
        order = records.OrderPlaced.model_validate(placed).order
        assert str(order.amount) == placed["amount"] and placed["lines"]
        assert len(json.dumps(placed)) < 256 * 1024
        ids.add(order.order_id)
    assert len(ids) == ORDERS_IN_FILE


def test_the_first_orders_are_the_first_of_the_file() -> None:
    first = list(retail.orders(3))
    assert [order["order_id"] for order in first] == ["536365", "536366", "536367"]
    assert first == list(islice(retail.orders(), 3))


def test_no_orders_are_no_orders_and_need_no_stock() -> None:
    assert list(retail.orders(0)) == []
    assert retail.deliveries([]) == []


@pytest.mark.slow("every order of the file")
def test_beyond_its_end_the_file_repeats_with_other_ids() -> None:
    ids = [order["order_id"] for order in retail.orders(2 * ORDERS_IN_FILE + 1)]
    assert len(set(ids)) == len(ids) == 2 * ORDERS_IN_FILE + 1
    assert (ids[ORDERS_IN_FILE], ids[-1]) == ("536365-2", "536365-3")


def test_the_same_orders_need_the_same_deliveries() -> None:
    assert retail.deliveries(retail.orders(500)) == retail.deliveries(list(retail.orders(500)))


def test_deliveries_are_small_have_ids_of_their_own_and_bring_some_of_every_article() -> None:
    deliveries = retail.deliveries(retail.orders(1000))
    assert all(0 < len(delivery["lines"]) <= 500 for delivery in deliveries)
    assert len({delivery["delivery_id"] for delivery in deliveries}) == len(deliveries)
    stock = received(deliveries)
    assert set(stock) == {line["sku"] for order in retail.orders(1000) for line in order["lines"]}
    assert min(stock.values()) > 0


def test_more_than_a_line_may_hold_comes_in_several_deliveries() -> None:
    line = {"sku": "A", "quantity": LARGEST_QUANTITY, "unit_price": "0.00"}
    order = {"order_id": "1", "amount": "0.00", "lines": [line, line]}
    assert received(retail.deliveries([order])) == {"A": 2 * LARGEST_QUANTITY}


@pytest.mark.parametrize("count", [*range(21, 120), 1000])
def test_every_kind_of_ending_occurs_from_21_orders_on(count: int) -> None:
    endings = one_after_the_other(list(retail.orders(count)))
    assert len(endings) == count
    assert set(endings.values()) == ENDINGS


def test_most_orders_complete_and_about_one_in_twenty_is_out_of_stock() -> None:
    share = Counter(one_after_the_other(list(retail.orders(1000))).values())
    assert share["completed"] > 750
    assert 30 <= share["out_of_stock"] <= 50


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [21, 60, 200])
def test_the_ending_of_each_order_is_the_same_whatever_the_timing(count: int, seed: int) -> None:
    placed = list(retail.orders(count))
    assert interleaved(placed, seed) == one_after_the_other(placed)


def test_endings_are_as_certain_where_orders_repeat() -> None:
    placed = [
        order | {"order_id": f"{order['order_id']}-{n}"} for n in range(3) for order in retail.orders(60)
    ]
    endings = one_after_the_other(placed)
    assert set(endings.values()) == ENDINGS
    assert all(interleaved(placed, seed) == endings for seed in range(3))
