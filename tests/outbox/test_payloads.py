"""A batch is sorted out: what is sent, what is refused, and what waits behind it."""

import json
from typing import Any

import pytest

from saga_app import topics, wire
from saga_app.core.records import OrderPlaced
from saga_app.outbox.payloads import OutboxRow, SortedRows, sort_out
from saga_app.wire import LARGEST_FROM_PEOPLE


def rows(*payloads: dict[str, Any] | str) -> list[OutboxRow]:
    """Rows with ids from 1, as the store reads them."""
    found = []
    for number, payload in enumerate(payloads, 1):
        order_id = payload.get("order_id") if isinstance(payload, dict) else None
        value = payload if isinstance(payload, str) else json.dumps(payload)
        found.append(OutboxRow(number, value, None if order_id is None else str(order_id)))
    return found


def sorted_out(*payloads: dict[str, Any] | str) -> SortedRows:
    return sort_out(rows(*payloads))


ORDER = {"order_id": "o1", "amount": 5}
CANCEL = {"type": "CancellationRequested", "order_id": "o1"}


def test_the_type_of_a_record_decides_its_inbox_and_its_key():
    found = sorted_out(
        ORDER,
        CANCEL,
        {"type": "FundsDeposited", "deposit_id": "d1", "customer_id": "c1", "amount": "5.00"},
        {"type": "StockReceived", "delivery_id": "d1", "lines": [{"sku": "MUG", "quantity": 1}]},
    )
    assert not found.refused and [row.id for row in found.rows] == [1, 2, 3, 4]
    assert [(each.topic, each.key) for each in found.records] == [
        (topics.CHECKOUT, b"o1"),
        (topics.CHECKOUT, b"o1"),
        (topics.PAYMENT, b"c1"),
        (topics.INVENTORY, b"main"),
    ]


def test_an_amount_keeps_every_digit():
    record = wire.decode(sorted_out('{"order_id": 1, "amount": 90071992547.41}').records[0].value)
    assert isinstance(record, OrderPlaced) and str(record.amount) == "90071992547.41"


def test_rows_behind_a_refused_one_of_the_same_order_wait_and_all_others_go_on():
    found = sorted_out({"order_id": "o1", "amount": -1}, {"order_id": "o2", "amount": 5}, CANCEL)
    assert [row.id for row in found.rows] == [2] and list(found.refused) == [1]
    assert found.refused[1] == "invalid: amount and prices must not be negative"


def test_a_row_before_a_refused_one_of_the_same_order_goes():
    found = sorted_out(ORDER, {**CANCEL, "reason": "none"}, CANCEL)
    assert [row.id for row in found.rows] == [1] and list(found.refused) == [2]


@pytest.mark.parametrize("payload", ["[1]", "not JSON", "", '"o1"', "{}", "\ud800"])
def test_a_payload_without_an_order_is_refused_and_holds_nobody_back(payload: str):
    found = sorted_out(payload, ORDER, CANCEL)
    assert [row.id for row in found.rows] == [2, 3] and list(found.refused) == [1]


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "PolicyChanged", "policy_id": "p1", "limit": "1000000"},
        {"type": "OrderCompleted", "order_id": "o1"},
    ],
)
def test_a_shop_changes_no_policy_and_speaks_for_no_service(payload: dict[str, Any]):
    found = sorted_out(payload)
    assert not found.records and f"a {payload['type']} comes from no shop" in found.refused[1]


def test_a_payload_that_was_cut_is_too_large_whatever_it_says():
    found = sorted_out('{"order_id": 1, "amount": 5' + " " * LARGEST_FROM_PEOPLE)
    assert found.refused[1].startswith("too_large: ")


def test_the_reason_tells_no_card_number():
    found = sorted_out({"order_id": "o1", "amount": 5, "card": "4111 1111 1111 1111"})
    assert found.refused[1].startswith("card_number: ") and "4111" not in found.refused[1]
