"""The orders of the comparison, as bytes that are ready to be sent, and how each must end."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple

from harness import orders as mix_of
from harness.orders import Sent
from harness.shop import Shop
from saga_app import topics, wire
from saga_app.core.payment import LIMIT
from saga_app.core.shipping import COUNTRIES
from saga_app.demo import retail

#: Of each ten orders of a flash sale, the one that wants something else.
FULL_PRICE: Final = 5
#: What ended an order, by the undo step requests that this takes.
COMPENSATIONS: Final = {"unknown_sku": 1, "out_of_stock": 1, "undeliverable": 2}


class LoadRecord(NamedTuple):
    """One record with its inbox and its key."""

    topic: str
    value: bytes
    key: bytes


class OrderLoad(NamedTuple):
    """Orders, and the ending that each must have by its id: COMPLETED, or the reason of the cancellation."""

    messages: Sequence[LoadRecord]
    expected: dict[str, str]

    @property
    def mean_bytes(self) -> int:
        return round(sum(len(each.value) for each in self.messages) / len(self.messages))


def mix(count: int, prefix: str, warehouses: int = 1) -> OrderLoad:
    """Orders of 1 to 4 lines; every tenth is refused: by payment, by inventory or by shipping."""
    placed = mix_of.orders(count, prefix=prefix, warehouses=_warehouses(warehouses))
    return OrderLoad(
        _ready(placed), {f"{prefix}-{number}": mix_of.expected(number) for number in range(count)}
    )


def flash_sale(count: int, prefix: str, warehouses: int = 1) -> OrderLoad:
    """The same mix, but nine of ten orders want one unit of one article; stock lasts for all."""
    placed = list(mix_of.orders(count, prefix=prefix, warehouses=_warehouses(warehouses)))
    for order in placed:
        if int(order["order_id"].rpartition("-")[2]) % 10 != FULL_PRICE:
            refused = [line for line in order["lines"] if line["sku"] not in mix_of.SKUS]
            order["lines"] = [{"sku": mix_of.SKUS[0], "quantity": 1, "unit_price": "12.50"}, *refused]
    return OrderLoad(
        _ready(placed), {f"{prefix}-{number}": mix_of.expected(number) for number in range(count)}
    )


def supplies(warehouses: int = 1) -> list[LoadRecord]:
    """Stock and money for any number of these orders."""
    return _ready(mix_of.supplies(warehouses=_warehouses(warehouses)))


def baskets(count: int) -> tuple[list[LoadRecord], OrderLoad]:
    """Real orders of 27 lines in the mean, and the deliveries that they need."""
    placed = list(retail.orders(count))
    deliveries = retail.deliveries(placed)
    stock: Counter[str] = Counter()
    for delivery in deliveries:
        stock.update({line["sku"]: line["quantity"] for line in delivery["lines"]})
    return _ready(deliveries), OrderLoad(
        _ready(placed), {each["order_id"]: ending(each, stock) for each in placed}
    )


def plentiful(placed: Sequence[Sent]) -> tuple[list[LoadRecord], OrderLoad]:
    """Deliveries of all that these orders want, and the orders. Deliveries have ids like the first of the orders."""
    stock = Counter[str]()
    for order in placed:
        for line in order["lines"]:
            stock[line["sku"]] += line["quantity"]
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(stock.items())]
    deliveries = [
        {
            "type": "StockReceived",
            "delivery_id": f"{placed[0]['order_id']}-{at}",
            "warehouse": "main",
            "lines": lines[at : at + retail.LINES_PER_DELIVERY],
        }
        for at in range(0, len(lines), retail.LINES_PER_DELIVERY)
    ]
    expected = {each["order_id"]: ending(each, stock) for each in placed}
    return _ready(deliveries), OrderLoad(_ready(placed), expected)


def ending(order: Sent, stock: Counter[str]) -> str:
    """How an order of the demo ends, whatever the timing: see `saga_app.demo.retail`."""
    wanted: Counter[str] = Counter()
    for line in order["lines"]:
        wanted[line["sku"]] += line["quantity"]
    if Decimal(order["amount"]) >= LIMIT:
        return "over_limit"
    if any(stock[sku] < quantity for sku, quantity in wanted.items()):
        return "out_of_stock"
    return "COMPLETED" if order.get("country", "GB") in COUNTRIES else "undeliverable"


def changed(orders: OrderLoad, **fields: str) -> OrderLoad:
    """The same orders with more fields, which do not change how they end."""
    return OrderLoad(
        _ready({**json.loads(each.value), **fields} for each in orders.messages), orders.expected
    )


def place(shop: Shop, messages: Iterable[LoadRecord], rate: float = 0.0) -> None:
    """Sends them as fast as the broker takes them, or so many a second; returns when the broker has all."""
    began = time.monotonic()
    waiting = iter(messages)
    sent = 0
    while due := list(islice(waiting, int((time.monotonic() - began) * rate) + 1 - sent if rate else 1_000)):
        for message in due:
            shop.raw(*message)
        sent += len(due)
        if rate:
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    shop.flush()


def _ready(records: Iterable[Sent]) -> list[LoadRecord]:
    made = []
    for fields in records:
        value = json.dumps(fields).encode()
        record = wire.decode(value)
        made.append(LoadRecord(topics.topic_of(record), value, topics.key_of(record).encode()))
    return made


def _warehouses(count: int) -> tuple[str, ...]:
    return ("main", *(f"main-{number}" for number in range(2, count + 1)))
