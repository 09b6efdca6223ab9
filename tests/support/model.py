"""Payment and inventory once more, as short as can be, from domain.md: to compare with, and sharing no code."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from saga_app.core.records import (
    Do,
    FundsDeposited,
    Order,
    PolicyChanged,
    Record,
    Slip,
    StockReceived,
    Undo,
)


class Expected(NamedTuple):
    """State by order id, amount by key of a balance."""

    states: dict[str, str]
    balances: dict[str, Decimal]


def fold(records: Iterable[Record]) -> Expected:
    """What payment, or inventory, must remember after these records."""
    states: dict[str, str] = {}
    balances: dict[str, Decimal] = {}
    content: dict[str, object] = {}
    taken: dict[str, dict[str, Decimal]] = {}
    limit = Decimal(1000)
    for record in records:
        name, brought = _identity(record)
        if content.setdefault(name, brought) != brought:
            continue
        again = name in taken
        taken.setdefault(name, {})
        match record:
            case PolicyChanged() if not again and record.limit is not None:
                limit = record.limit
            case FundsDeposited() | StockReceived() if not again:
                for key, amount in _supplies(record).items():
                    balances[key] = balances.get(key, Decimal(0)) + amount
            case Do() if record.order_id not in states:
                wanted = _wanted(record, balances)
                if _refused(record, wanted, balances, limit):
                    states[record.order_id] = "REFUSED"
                else:
                    states[record.order_id] = "DONE"
                    taken[name] = wanted
                    for key, amount in wanted.items():
                        balances[key] -= amount
            case Undo() if record.order_id not in states:
                states[record.order_id] = "VOID"
            case Undo() if states[record.order_id] == "DONE":
                states[record.order_id] = "UNDONE"
                for key, amount in taken[name].items():
                    balances[key] += amount
            case _:
                pass
    return Expected(states, balances)


def states(journal: Mapping[bytes, bytes]) -> dict[str, str]:
    """The state of every order in a journal."""
    return {key.decode(): json.loads(row)["state"] for key, row in journal.items() if b":" not in key}


def amounts(balances: Mapping[bytes, bytes]) -> dict[str, Decimal]:
    """What is there, by key: money or units."""
    rows = {key.decode(): json.loads(row) for key, row in balances.items()}
    return {key: Decimal(row.get("balance", row.get("available"))) for key, row in rows.items()}


def _identity(record: Record) -> tuple[str, object]:
    match record:
        case Slip():
            return f"order {record.order_id}", record.order
        case FundsDeposited():
            return f"deposit {record.customer_id} {record.deposit_id}", (record.currency, record.amount)
        case StockReceived():
            return f"delivery {record.warehouse} {record.delivery_id}", record.lines
        case PolicyChanged():
            return f"policy {record.policy_id}", (record.limit, record.countries)
        case _:
            raise AssertionError(record)


def _supplies(record: FundsDeposited | StockReceived) -> dict[str, Decimal]:
    if isinstance(record, FundsDeposited):
        return {f"{record.customer_id}:{record.currency}": record.amount}
    return {f"{record.warehouse}:{line.sku}": Decimal(line.quantity) for line in record.lines}


def _wanted(record: Do, balances: Mapping[str, Decimal]) -> dict[str, Decimal]:
    of: Order = record.order
    if record.type == "PaymentRequested":  # type: ignore[attr-defined]
        key = f"{of.customer_id}:{of.currency}"
        return {key: of.amount} if key in balances and of.amount else {}
    return {f"{of.warehouse}:{line.sku}": Decimal(line.quantity) for line in of.lines}


def _refused(
    record: Do, wanted: Mapping[str, Decimal], balances: Mapping[str, Decimal], limit: Decimal
) -> bool:
    if record.type == "PaymentRequested" and record.order.amount >= limit:  # type: ignore[attr-defined]
        return True
    return any(key not in balances or balances[key] < amount for key, amount in wanted.items())
