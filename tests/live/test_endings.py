"""Every order ends completed with all of its effects, or cancelled with none, for exactly the reason that it gives."""

from collections import Counter

import pytest

from harness.orders import Sent, expected, orders, supplies
from harness.scene import Scene

SCARCE: list[Sent] = [
    {"type": "StockReceived", "delivery_id": "few", "lines": [{"sku": "FEW", "quantity": 5}]},
    {"type": "FundsDeposited", "deposit_id": "poor", "customer_id": "poor", "amount": "10.00"},
]
REFUSED: dict[str, Sent] = {
    "over_limit": {"order_id": "limit", "amount": "1000.00"},
    "insufficient_funds": {"order_id": "poor", "customer_id": "poor", "amount": "10.01"},
    "unknown_sku": {"order_id": "sku", "lines": [{"sku": "NONE", "quantity": 1, "unit_price": "1.00"}]},
    "out_of_stock": {"order_id": "stock", "lines": [{"sku": "FEW", "quantity": 6, "unit_price": "1.00"}]},
    "undeliverable": {"order_id": "country", "amount": "1.00", "country": "NZ"},
}
#: As large as each rule allows.
ACCEPTED: list[Sent] = [
    {"order_id": "below-limit", "amount": "999.99"},
    {"order_id": "all-money", "customer_id": "poor", "amount": "10.00"},
    {"order_id": "all-stock", "lines": [{"sku": "FEW", "quantity": 5, "unit_price": "1.00"}]},
]


@pytest.mark.promise("the four endings")
def test_orders_end_as_their_content_demands(scene: Scene) -> None:
    """600 orders and one for every reason end as they must, and without a fault nothing is sent twice."""
    scene.worker("w1").start().ready()
    scene.shop.send([*supplies(), *SCARCE])
    scene.log.wait_until_quiet()
    scene.shop.send([*orders(600), *REFUSED.values(), *ACCEPTED])
    scene.endings.wait_for(608, 60)
    want = {
        **{f"o-{number}": expected(number) for number in range(600)},
        **{order["order_id"]: reason for reason, order in REFUSED.items()},
        **{order["order_id"]: "COMPLETED" for order in ACCEPTED},
    }
    assert scene.endings.ended == want
    ledger = scene.prove()
    assert ledger.statuses() == Counter(want.values())
    assert not ledger.repeats()
