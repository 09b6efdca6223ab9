"""The shop of these tests: supplies, orders, and how each order must end."""

import random
from collections.abc import Iterator
from typing import Any

SKUS = [f"SKU-{number:04d}" for number in range(200)]
CUSTOMERS = [f"C{number:04d}" for number in range(500)]

#: One record as people write it.
Sent = dict[str, Any]


def supplies(quantity: int = 900_000, warehouses: tuple[str, ...] = ("main",)) -> Iterator[Sent]:
    """Plenty of everything, and money for every second customer."""
    for warehouse in warehouses:
        for at in range(0, len(SKUS), 50):
            lines = [{"sku": sku, "quantity": quantity} for sku in SKUS[at : at + 50]]
            yield {
                "type": "StockReceived",
                "delivery_id": f"first-{at}",
                "warehouse": warehouse,
                "lines": lines,
            }
    for customer in CUSTOMERS[::2]:
        yield {
            "type": "FundsDeposited",
            "deposit_id": "first",
            "customer_id": customer,
            "amount": "900000.00",
        }


def orders(
    count: int, seed: int = 1, prefix: str = "o", warehouses: tuple[str, ...] = ("main",)
) -> Iterator[Sent]:
    """Orders of 1 to 4 lines; every tenth is refused: by payment, by inventory or by shipping."""
    chance = random.Random(seed)
    for number in range(count):
        lines = [
            {"sku": sku, "quantity": chance.randint(1, 5), "unit_price": "12.50"}
            for sku in chance.sample(SKUS, chance.choice((1, 2, 3, 4)))
        ]
        order = {
            "type": "OrderPlaced",
            "order_id": f"{prefix}-{number}",
            "customer_id": chance.choice(CUSTOMERS),
            "country": "GB",
            "warehouse": chance.choice(warehouses),
            "lines": lines,
        }
        if number % 30 == 0:
            lines.append({"sku": "DEAR", "quantity": 1, "unit_price": "5000.00"})
        elif number % 30 == 10:
            lines.append({"sku": "UNKNOWN", "quantity": 1, "unit_price": "1.00"})
        elif number % 30 == 20:
            order["country"] = "NZ"
        yield order


def expected(number: int) -> str:
    """How the order with this number ends: COMPLETED, or the reason of its cancellation."""
    return {0: "over_limit", 10: "unknown_sku", 20: "undeliverable"}.get(number % 30, "COMPLETED")
