"""The load: steady orders that end in every way there is, and among them everything that a shop gets wrong.

Stock and money are scarce and come in while orders are under way, so what an order meets depends on the moment.
"""

import json
import random
import time
from collections import Counter
from typing import Any, Final

from harness.orders import Sent
from harness.shop import Shop
from saga_app import topics
from tests.chaos.payments import ChaosPayments
from tests.chaos.watch import PREFIX
from tests.support.corpus import CORPUS

SKUS: Final = [f"SKU-{number:02d}" for number in range(30)]
WAREHOUSES: Final = [f"house-{number}" for number in range(12)]
CUSTOMERS: Final = [f"C{number:02d}" for number in range(60)]
#: The largest bad record that a producer with default settings sends.
LARGEST: Final = 900_000
BAD: Final = [bad for bad in CORPUS if len(bad.value or b"") < LARGEST]
#: Orders that are remembered, to be sent again or cancelled a little later.
RECENT: Final = 200


class ChaosLoad:
    """Sends the orders that are due whenever it is asked."""

    def __init__(self, shop: Shop, seed: str, rate: float, payments: ChaosPayments | None = None) -> None:
        self._shop = shop
        self._payments = payments
        self._chance = random.Random(f"load {seed}")
        self._rate = rate
        self._began = time.monotonic()
        self._recent: list[Sent] = []
        #: Orders placed; what was sent, by kind.
        self.placed = 0
        self.sent: Counter[str] = Counter()
        #: Orders whose own input explains that something was sent twice for them.
        self.touched: set[str] = set()

    def supply(self) -> None:
        """Sends the deposits and deliveries that orders need."""
        for customer in CUSTOMERS:
            self._deposit(customer)
        for warehouse in WAREHOUSES:
            self._deliver(warehouse, SKUS, 100)
        self._shop.flush()

    def tick(self) -> None:
        """Sends all that is due by now, in an order of its own."""
        due = int((time.monotonic() - self._began) * self._rate) - self.placed
        # After a standstill of the runner not everything at once.
        for _ in range(min(due, 200)):
            self._one()
        del self._shop.outbox[:-RECENT]

    def _one(self) -> None:
        order = self._order()
        kind = self._chance.random()
        if kind < 0.03:
            self._say(
                "orders in a wrong partition",
                order,
                partition=self._chance.randrange(topics.DEFAULT_PARTITIONS),
            )
        elif kind < 0.06:
            self._say("orders without a key", order, keyless=True)
        elif kind < 0.10:
            self._cancel(order["order_id"], "cancellations before their order")
            self._say("orders", order)
        else:
            self._say("orders", order)
        self._recent = [*self._recent[-RECENT:], order]
        self._around(order)

    def _around(self, order: Sent) -> None:
        """Sends cancellations, repeats and other records around an order, each as often as it is drawn."""
        chance = self._chance
        if chance.random() < 0.05:
            self._cancel(order["order_id"], "cancellations at once")
        if chance.random() < 0.04:
            self._cancel(chance.choice(self._recent)["order_id"], "cancellations later")
        if chance.random() < 0.03:
            self._again(chance.choice(self._recent), "orders sent again")
        if chance.random() < 0.01:
            self._again({**chance.choice(self._recent), "country": "FR"}, "orders again with another content")
        if chance.random() < 0.06:
            self._deposit(chance.choice(CUSTOMERS))
        if chance.random() < 0.06:
            self._deliver(chance.choice(WAREHOUSES), chance.sample(SKUS, 6), chance.randint(10, 40))
        if chance.random() < 0.03:
            self._bad()
        if chance.random() < 0.002:
            self._policy()

    def _order(self) -> Sent:
        """Most can be completed; the others are refused by payment, by inventory or by shipping."""
        chance, self.placed = self._chance, self.placed + 1
        lines = [
            {"sku": sku, "quantity": chance.randint(1, 5), "unit_price": "7.50"}
            for sku in chance.sample(SKUS, chance.choice((1, 2, 3, 4)))
        ]
        order: Sent = {
            "type": "OrderPlaced",
            "order_id": f"{PREFIX}{self.placed}",
            "country": "GB",
            "warehouse": chance.choice(WAREHOUSES),
            "lines": lines,
        }
        if chance.random() < 0.4:
            order["customer_id"] = chance.choice(CUSTOMERS)
        if self._payments is not None and (payment := self._payments.drawn(chance)):
            self.sent["orders paid outside"] += 1
            order.update(payment)
        wrong = chance.random()
        if wrong < 0.03:
            lines[0]["unit_price"] = "5000.00"
        elif wrong < 0.06:
            lines.append({"sku": "UNKNOWN", "quantity": 1, "unit_price": "1.00"})
        elif wrong < 0.10:
            order["country"] = chance.choice(("NZ", "FR"))
        return order

    def _deposit(self, customer: str) -> None:
        self.sent["deposits"] += 1
        number = self.sent["deposits"]
        fields = {
            "type": "FundsDeposited",
            "deposit_id": f"d{number}",
            "customer_id": customer,
            "amount": "400.00",
        }
        for _ in range(1 + (self._chance.random() < 0.1)):
            self._shop.post(fields)

    def _deliver(self, warehouse: str, skus: list[str], quantity: int) -> None:
        self.sent["deliveries"] += 1
        number = self.sent["deliveries"]
        lines = [{"sku": sku, "quantity": quantity} for sku in skus]
        fields = {
            "type": "StockReceived",
            "delivery_id": f"s{number}",
            "warehouse": warehouse,
            "lines": lines,
        }
        for _ in range(1 + (self._chance.random() < 0.1)):
            self._shop.post(fields)

    def _policy(self) -> None:
        self.sent["changes of policy"] += 1
        number = self.sent["changes of policy"]
        fields: dict[str, Any] = self._chance.choice(
            ({"limit": "1000"}, {"limit": "120"}, {"countries": ["GB"]}, {"countries": ["GB", "NZ"]})
        )
        topic = topics.PAYMENT if "limit" in fields else topics.SHIPPING
        value = json.dumps({"type": "PolicyChanged", "policy_id": f"p{number}", **fields}).encode()
        self._shop.raw(topic, value, f"p{number}".encode())

    def _cancel(self, order_id: str, kind: str) -> None:
        self.touched.add(order_id)
        self._say(kind, {"type": "CancellationRequested", "order_id": order_id, "note": "changed my mind"})

    def _again(self, order: Sent, kind: str) -> None:
        self.touched.add(order["order_id"])
        self._say(kind, order)

    def _bad(self) -> None:
        """In any inbox; where it is the same bytes as an order's own, in checkout's, it is just as bad."""
        bad = self._chance.choice(BAD)
        self.sent["bad records"] += 1
        self._shop.raw(self._chance.choice(topics.INBOXES), bad.value, b"bad")

    def _say(self, kind: str, fields: Sent, keyless: bool = False, **options: int) -> None:
        self.sent[kind] += 1
        key = None if keyless else fields["order_id"].encode()
        self._shop.raw(topics.CHECKOUT, json.dumps(fields).encode(), key, **options)
