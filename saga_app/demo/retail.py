"""The demo's orders, and deliveries of stock that let every kind of ending occur.

With the default rules the ending of each order is certain, whatever the timing. Orders over the limit never reach
the inventory. The stock of a *scarce* article is less than each of its *doomed* orders wants, and enough for all its
other orders together; every other article has enough for all orders. About one order in twenty is doomed. Orders that
cannot be shipped are not doomed too: they show how stock is reserved and released.
"""

import json
import lzma
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import blake2b
from importlib import resources
from itertools import chain, islice
from itertools import count as from_number
from typing import Any, Final

from saga_app.core.fields import LARGEST_QUANTITY
from saga_app.core.payment import LIMIT
from saga_app.core.shipping import COUNTRIES

ONE_DOOMED_IN: Final = 20
LINES_PER_DELIVERY: Final = 500

#: By wanted quantity, the positions of the orders that want one article.
Wanted = dict[int, list[int]]


def orders(count: int | None = None) -> Iterator[dict[str, Any]]:
    """The first `count` orders as `OrderPlaced` payloads; by default every order of the file once.

    After its end the file is read again, with order ids that end in `-2`, then `-3` and so on.
    """
    if count is None:
        return _edition(1)
    return islice(chain.from_iterable(map(_edition, from_number(1))), count)


def _edition(number: int) -> Iterator[dict[str, Any]]:
    path = resources.files(__package__) / "orders.jsonl.xz"
    with path.open("rb") as packed, lzma.open(packed) as lines:
        for line in lines:
            order: dict[str, Any] = json.loads(line)
            if number > 1:
                order["order_id"] += f"-{number}"
            yield order


def deliveries(orders: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """`StockReceived` payloads for these `OrderPlaced` payloads: some stock of every article in them.

    They are for an empty warehouse, and come before the orders: other stock would make scarce articles less scarce,
    and an order before its articles would end with `unknown_sku`.
    """
    wanted: defaultdict[str, Wanted] = defaultdict(lambda: defaultdict(list))
    abroad: set[int] = set()
    payable = 0
    for position, order in enumerate(orders):
        can_pay = Decimal(order["amount"]) < LIMIT
        payable += can_pay
        if order.get("country") not in {None, *COUNTRIES}:
            abroad.add(position)
        for sku, quantity in _quantities(order).items():
            wants = wanted[sku]
            if can_pay:
                wants[quantity].append(position)
    enough = {sku: sum(each * len(by) for each, by in wants.items()) or 1 for sku, wants in wanted.items()}
    return list(_chunks(enough | _scarce(wanted, abroad, payable // ONE_DOOMED_IN)))


def _quantities(order: dict[str, Any]) -> Counter[str]:
    total: Counter[str] = Counter()
    for line in order["lines"]:
        total[line["sku"]] += line["quantity"]
    return total


def _scarce(wanted: dict[str, Wanted], abroad: set[int], most: int) -> dict[str, int]:
    """The stock of the scarce articles, chosen so that at most `most` orders are doomed, and none from `abroad`."""
    choices = []
    for sku, wants in wanted.items():
        stock, few = _split(wants)
        if few and abroad.isdisjoint(few):
            choices.append((len(few), sku, stock, few))
    doomed: set[int] = set()
    scarce: dict[str, int] = {}
    for _, sku, stock, few in sorted(choices):
        more = set(few) - doomed
        if more and len(doomed) + len(more) <= most:
            doomed |= more
            scarce[sku] = stock
    return scarce


def _split(wants: Wanted) -> tuple[int, list[int]]:
    """The stock for all orders but the doomed ones (at least 1), and the fewest orders that each want more."""
    few: list[int] = []
    others = sum(quantity * len(by) for quantity, by in wants.items())
    for quantity in sorted(wants, reverse=True):
        others -= quantity * len(wants[quantity])
        few += wants[quantity]
        if quantity > max(others, 1):
            return max(others, 1), few
    return others, []


def _chunks(stock: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Deliveries of this stock; a quantity too large for one line is split over several deliveries."""
    numbers = from_number(1)
    while stock:
        lines = [{"sku": sku, "quantity": min(stock[sku], LARGEST_QUANTITY)} for sku in sorted(stock)]
        for start in range(0, len(lines), LINES_PER_DELIVERY):
            yield _delivery(next(numbers), lines[start : start + LINES_PER_DELIVERY])
        stock = {sku: rest - LARGEST_QUANTITY for sku, rest in stock.items() if rest > LARGEST_QUANTITY}


def _delivery(number: int, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The same content gives the same id; the number tells deliveries with equal lines apart."""
    content = blake2b(json.dumps(lines).encode(), digest_size=8).hexdigest()
    return {
        "type": "StockReceived",
        "delivery_id": f"{number}-{content}",
        "warehouse": "main",
        "lines": lines,
    }
