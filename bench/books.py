"""The stock and money that must be left when orders have ended as they did."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from bench.load import LoadRecord
from bench.peers.balances import COMPLETED, parts
from bench.peers.rules import INVENTORY, PAYMENT, normal, supplied
from saga_app import topics

#: Money as text, or units, by table and key.
Balances = Mapping[tuple[str, str], Any]
_TABLES = {topics.PAYMENT: PAYMENT.balances, topics.INVENTORY: INVENTORY.balances}


def came(supplies: Iterable[LoadRecord]) -> Balances:
    """The balances that these records bring; each balance is supplied once."""
    return {
        (_TABLES[each.topic], key): amount
        for each in supplies
        for key, amount in supplied(from_json(each.value))
    }


def left(
    supplies: Iterable[LoadRecord], orders: Mapping[str, LoadRecord], endings: Mapping[str, str]
) -> Balances:
    """The balances that are left: only completed orders keep what they took."""
    rest = {name: Decimal(amount) for name, amount in came(supplies).items()}
    for name in (name for name, ending in endings.items() if ending == COMPLETED):
        order = normal(from_json(orders[name].value))
        taken = {(PAYMENT.balances, order["customer_id"]): Decimal(order["amount"])}
        for key, part in parts(INVENTORY, order).items():
            taken[INVENTORY.balances, key] = Decimal(part["lines"][0]["quantity"])
        # Who has no account pays in another way.
        rest |= {balance: rest[balance] - amount for balance, amount in taken.items() if balance in rest}
    return rest
