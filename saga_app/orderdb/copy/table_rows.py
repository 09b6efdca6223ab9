"""Rows of the tables, from their changelogs. They carry versions, and compaction keeps the newest of each key."""

from decimal import Decimal
from typing import Any, Final

from pydantic_core import from_json, to_json

from saga_app.core.amounts import PARTS
from saga_app.core.route import STEPS
from saga_app.core.row_keys import is_supply_key, order_in, parts_of_balance, parts_of_supply
from saga_app.core.rows import Account, JournalRow, OrderRow, Stock, is_closed
from saga_app.orderdb import schema
from saga_app.orderdb.copy.batch import RowBatch, RowMapper, require_fitting, word

#: The journal of each step, and the step's service.
SERVICES: Final = {step.journal: step.name.value for step in STEPS}


def _is_special(message: Any) -> bool:
    """True if it is not the row of an order: a tombstone, a deposit, a delivery, a policy, a segment or a total."""
    return message.value() is None or order_in(message.key()) is None


def _order(batch: RowBatch, message: Any) -> None:
    # The small row of an evicted order says less than its last row, which the database keeps.
    if _is_special(message) or is_closed(message.value()):
        return
    row = OrderRow.decode(message.value())
    order = from_json(row.order)
    order_id = order["order_id"]
    fields = {
        "order_id": order_id,
        "version": row.version,
        "status": row.status.value,
        "reason": word(row.reason),
        "step": word(row.step),
        "customer_id": order.get("customer_id"),
        "warehouse": order["warehouse"],
        "country": order.get("country"),
        "currency": order["currency"],
        "amount": Decimal(order["amount"]),
        "route": ",".join(order["route"]) if "route" in order else None,
        "lines": len(order["lines"]),
        "tries": row.tries,
        "partition": message.partition(),
        "placed_offset": row.placed_at,
        "placed_at": row.since,
        "since": row.since,
        "ended_at": row.ended_at,
        "patience": row.patience,
        **{f"{name}_amount": Decimal(order[name]) if name in order else None for name in PARTS},
        "reference": order.get("reference"),
        "metadata": to_json(order["metadata"]).decode() if "metadata" in order else None,
    }
    if known := batch.tables[schema.orders].get((order_id,)):
        fields["placed_at"] = known["placed_at"]
    lines = [{"order_id": order_id, **line} for line in order["lines"]]
    for line in lines:
        require_fitting(schema.order_lines, line)
    if batch.newest(schema.orders, (order_id,), fields):
        # An order's lines never change.
        for line in lines:
            batch.once(schema.order_lines, (order_id, line["sku"]), line)
    batch.placed.add(order_id)


def _step_mapper(service: str) -> RowMapper:
    def add_step(batch: RowBatch, message: Any) -> None:
        if _is_special(message):
            if message.value() is not None and is_supply_key(message.key().decode()):
                _supply(batch, message)
            return
        order_id = message.key().decode()
        row = JournalRow.decode(message.value())
        fields = {
            "order_id": order_id,
            "service": service,
            "version": row.version,
            "state": row.state.value,
            "reason": word(row.reason),
            "step": word(row.step),
            "done_at": row.done_at,
            "undone_at": row.undone_at,
            **_effect(row),
        }
        batch.newest(schema.order_steps, (order_id, service), fields)

    return add_step


def _effect(row: JournalRow) -> dict[str, Any]:
    """The columns about an effect at a provider; empty where there is none."""
    effect = row.outside
    return {
        "provider": effect and effect.provider,
        "reference": effect and effect.reference,
        "asked_at": effect and effect.asked_at,
        "tries": effect and effect.tries,
        "code": effect and effect.code,
        "conflict": row.conflict,
        "capture_before": None if row.held_until is None else row.held_until * 1000,
    }


def _supply(batch: RowBatch, message: Any) -> None:
    kind, _, supply_id = parts_of_supply(message.key().decode())
    row = JournalRow.decode(message.value())
    for balance, amount in (row.moves or {}).items():
        owner, unit = parts_of_balance(balance)
        key = (kind.value, owner, unit, supply_id)
        fields = {
            **dict(zip(("kind", "owner", "unit", "supply_id"), key, strict=True)),
            "version": row.version,
            "partition": message.partition(),
            "at_offset": row.version if row.done_at is None else row.done_at,
            "time": message.timestamp()[1],
            "amount": Decimal(amount),
            "cause": row.cause,
            "refused": word(row.reason),
        }
        batch.newest(schema.supplies, key, fields)


def _account(batch: RowBatch, message: Any) -> None:
    customer, currency = parts_of_balance(message.key().decode())
    row = Account.decode(message.value())
    fields = {"customer_id": customer, "currency": currency, **row._asdict()}
    batch.newest(schema.accounts, (customer, currency), fields)


def _stock(batch: RowBatch, message: Any) -> None:
    warehouse, sku = parts_of_balance(message.key().decode())
    row = Stock.decode(message.value())
    batch.newest(schema.stock, (warehouse, sku), {"warehouse": warehouse, "sku": sku, **row._asdict()})


#: The tables of the workers, and the function that maps a row of each.
TABLES: Final[dict[str, RowMapper]] = {
    "orders": _order,
    "accounts": _account,
    "stock": _stock,
    **{table: _step_mapper(service) for table, service in SERVICES.items()},
}
