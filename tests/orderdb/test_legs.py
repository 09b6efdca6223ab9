"""Where an order spent its time, and the prices of its lines."""

from decimal import Decimal
from typing import Any

import pytest

from saga_app import topics
from saga_app.orderdb.present.legs import Leg, legs
from saga_app.orderdb.queries.order import LinePrice, priced_lines
from tests.orderdb.batches import OrderCopy
from tests.orderdb.test_queries import QueryTester
from tests.support.examples import cancel, placed


@pytest.fixture
def asked(copy: OrderCopy) -> QueryTester:
    return QueryTester(copy)


def told(asked: QueryTester, later: int = 0) -> list[Leg]:
    found = asked.order()
    status = found.status
    assert status is not None
    last = max(event["time"] for event in found.events)
    return legs(found.events, has_ended=status.has_ended, now=last + later)


def test_a_completed_order_was_with_each_service_from_its_request_to_the_next(asked: QueryTester):
    asked.after(placed(lines=[{"sku": "MUG", "quantity": 1}], customer_id="ada"))
    assert [(leg.service, leg.milliseconds, leg.is_over) for leg in told(asked, later=99_000)] == [
        ("checkout", 1_000, True),
        ("payment", 1_000, True),
        ("inventory", 1_000, True),
        ("shipping", 1_000, True),
    ]


def test_a_compensated_order_was_with_services_on_its_way_back_too(asked: QueryTester):
    asked.after(placed(lines=[{"sku": "MUG", "quantity": 1}], customer_id="ada", country="KP"))
    assert [leg.service for leg in told(asked)] == [
        *("checkout", "payment", "inventory", "shipping"),
        *("inventory", "payment"),
    ]
    assert told(asked)[-1].what == "refund the payment"


def test_an_open_order_waits_where_it_was_asked_last_and_that_is_most_of_its_time(asked: QueryTester):
    asked.after(placed(customer_id="ada"), silent=topics.INVENTORY)
    *before, waits = told(asked, later=60_000)
    assert (waits.service, waits.milliseconds, waits.is_over, waits.is_most) == (
        "inventory",
        60_000,
        False,
        True,
    )
    assert not any(leg.is_most for leg in before)


def test_an_order_that_nobody_placed_has_no_legs(asked: QueryTester):
    asked.after(cancel("o1"))
    assert legs(asked.order().events, has_ended=False, now=1) == []


PRICED = {"sku": "MUG", "quantity": 2, "unit_price": "12.50"}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([PRICED], [LinePrice("MUG", 2, Decimal("12.50"))]),
        ([{"sku": "CUP", "quantity": 1}], [LinePrice("CUP", 1, None)]),
        (
            [PRICED, {"sku": "MUG", "quantity": 1, "unit_price": "11"}, {"sku": "MUG", "quantity": 3}],
            [
                LinePrice("MUG", 2, Decimal("12.50")),
                LinePrice("MUG", 1, Decimal(11)),
                LinePrice("MUG", 3, None),
            ],
        ),
    ],
)
def test_lines_have_the_prices_with_which_they_were_placed(
    asked: QueryTester, lines: list[dict[str, Any]], told: list[LinePrice]
):
    asked.after(placed(amount="36.00" if len(lines) > 1 else "25.00", lines=lines, customer_id="ada"))
    assert asked(priced_lines, asked.order()) == told


def test_an_order_that_came_again_with_other_prices_keeps_its_own(asked: QueryTester):
    asked.after(placed(amount="25.00", lines=[PRICED], customer_id="ada"))
    asked.after(placed(amount="24.00", lines=[{**PRICED, "unit_price": "12.00"}], customer_id="ada"))
    assert asked(priced_lines, asked.order()) == [LinePrice("MUG", 2, Decimal("12.50"))]
