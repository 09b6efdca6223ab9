"""Payment and inventory once more, as short as can be, to compare with: written by hand, and sharing no code."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from saga_app.core.order import Order
from saga_app.core.records import (
    Do,
    FundsDeposited,
    FundsWithdrawn,
    PolicyChanged,
    Record,
    StepRequest,
    StockAdjusted,
    StockReceived,
    Undo,
)

Offset = int


class Entry(NamedTuple):
    """The journal's entry for one order."""

    state: str
    version: Offset
    done_at: Offset | None = None
    undone_at: Offset | None = None


class Expected(NamedTuple):
    """Entries by order id; version and amount by key of a balance."""

    entries: dict[str, Entry]
    balances: dict[str, tuple[Offset, Decimal]]


def decider(records: Iterable[tuple[Offset, Record]]) -> Expected:
    """The entries and balances that payment, or inventory, must have after these records."""
    entries: dict[str, Entry] = {}
    balances: dict[str, tuple[Offset, Decimal]] = {}
    content: dict[str, object] = {}
    taken: dict[str, dict[str, Decimal]] = {}
    limit = Decimal(1000)
    for at, record in records:
        name, brought = _identity(record)
        known = name in content
        if content.setdefault(name, brought) != brought:
            continue
        moves: dict[str, Decimal] = {}
        match record:
            case PolicyChanged() if not known and record.limit is not None:
                limit = record.limit
            case FundsDeposited() | StockReceived() | FundsWithdrawn() | StockAdjusted() if not known:
                moves = _possible(_supplies(record), balances)
            case Do() if not known:
                wanted = _wanted(record, balances)
                if _refused(record, wanted, balances, limit):
                    entries[record.order_id] = Entry("REFUSED", at)
                else:
                    entries[record.order_id] = Entry("DONE", at, at)
                    taken[name] = wanted
                    moves = {key: -amount for key, amount in wanted.items()}
            case Undo() if not known:
                entries[record.order_id] = Entry("VOID", at)
            case Undo() if entries[record.order_id].state == "DONE":
                entries[record.order_id] = Entry("UNDONE", at, entries[record.order_id].done_at, at)
                moves = taken[name]
            case _:
                pass
        for key, amount in moves.items():
            balances[key] = (at, balances.get(key, (at, Decimal(0)))[1] + amount)
    return Expected(entries, balances)


def written(journal: Mapping[bytes, bytes]) -> dict[str, Entry]:
    """The entries of a journal, by order id."""
    rows = {key.decode(): json.loads(row) for key, row in journal.items() if b":" not in key}
    return {
        key: Entry(row["state"], row["version"], row.get("done_at"), row.get("undone_at"))
        for key, row in rows.items()
    }


def amounts(balances: Mapping[bytes, bytes]) -> dict[str, tuple[Offset, Decimal]]:
    """The balances by key: the version, and the money or units."""
    rows = {key.decode(): json.loads(row) for key, row in balances.items()}
    return {
        key: (row["version"], Decimal(row.get("balance", row.get("available")))) for key, row in rows.items()
    }


def _identity(record: Record) -> tuple[str, object]:
    match record:
        case StepRequest():
            return f"order {record.order_id}", record.order
        case FundsDeposited():
            return f"deposit {record.customer_id} {record.deposit_id}", (record.currency, record.amount)
        case StockReceived():
            return f"delivery {record.warehouse} {record.delivery_id}", record.lines
        case FundsWithdrawn():
            return f"withdrawal {record.customer_id} {record.withdrawal_id}", (record.currency, record.amount)
        case StockAdjusted():
            return f"adjustment {record.warehouse} {record.adjustment_id}", record.lines
        case PolicyChanged():
            return f"policy {record.policy_id}", (record.limit, record.countries)
        case _:
            raise AssertionError(record)


def _supplies(record: FundsDeposited | StockReceived | FundsWithdrawn | StockAdjusted) -> dict[str, Decimal]:
    if isinstance(record, FundsDeposited):
        return {f"{record.customer_id}:{record.currency}": record.amount}
    if isinstance(record, FundsWithdrawn):
        return {f"{record.customer_id}:{record.currency}": -record.amount}
    return {f"{record.warehouse}:{line.sku}": Decimal(line.quantity) for line in record.lines}


def _possible(
    moves: dict[str, Decimal], balances: Mapping[str, tuple[Offset, Decimal]]
) -> dict[str, Decimal]:
    left = {key: balances[key][1] if key in balances else Decimal(0) for key in moves}
    return {} if any(amount < 0 and left[key] + amount < 0 for key, amount in moves.items()) else moves


def _wanted(record: Do, balances: Mapping[str, tuple[Offset, Decimal]]) -> dict[str, Decimal]:
    of: Order = record.order
    if record.type == "PaymentRequested":  # type: ignore[attr-defined]
        pays_from_accounts = any(key.startswith(f"{of.customer_id}:") for key in balances)
        return {f"{of.customer_id}:{of.currency}": of.amount} if pays_from_accounts and of.amount else {}
    return {f"{of.warehouse}:{line.sku}": Decimal(line.quantity) for line in of.lines}


def _refused(
    record: Do, wanted: Mapping[str, Decimal], balances: Mapping[str, tuple[Offset, Decimal]], limit: Decimal
) -> bool:
    if record.type == "PaymentRequested" and record.order.amount >= limit:  # type: ignore[attr-defined]
        return True
    return any(key not in balances or balances[key][1] < amount for key, amount in wanted.items())
