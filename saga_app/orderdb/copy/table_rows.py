"""How things are, as the changelogs say: their rows carry versions, and compaction takes nothing that matters."""

from decimal import Decimal
from typing import Any, Final

from pydantic_core import from_json

from saga_app.core.route import ROUTE
from saga_app.core.rows import Account, JournalRow, OrderRow, Stock, is_closed
from saga_app.orderdb import schema
from saga_app.orderdb.copy.batch import RowBatch, RowMapper, word

#: The journal of each step, and the step's name.
_JOURNALS: Final = {step.journal: step.name.value for step in ROUTE}


def _is_special(message: Any) -> bool:
    """Deposits, deliveries, policies, segments and totals stand in the journals too; a tombstone is no row."""
    return message.value() is None or b":" in message.key()


def _order(entries: RowBatch, message: Any) -> None:
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
        "lines": len(order["lines"]),
        "tries": row.tries,
        "partition": message.partition(),
        "placed_offset": row.placed_at,
        "placed_at": row.since,
        "since": row.since,
        "ended_at": row.ended_at,
    }
    if known := entries.tables[schema.orders].get((order_id,)):
        fields["placed_at"] = known["placed_at"]
    entries.placed.add(order_id)
    if entries.newest(schema.orders, (order_id,), fields):
        # An order's lines never change.
        for line in order["lines"]:
            entries.once(schema.order_lines, (order_id, line["sku"]), {"order_id": order_id, **line})


def _step_reader(service: str) -> RowMapper:
    def read(entries: RowBatch, message: Any) -> None:
        if _is_special(message):
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
        }
        entries.newest(schema.order_steps, (order_id, service), fields)

    return read


def _account(entries: RowBatch, message: Any) -> None:
    customer, _, currency = message.key().decode().rpartition(":")
    row = Account.decode(message.value())
    fields = {"customer_id": customer, "currency": currency, **row._asdict()}
    entries.newest(schema.accounts, (customer, currency), fields)


def _stock(entries: RowBatch, message: Any) -> None:
    warehouse, _, sku = message.key().decode().partition(":")
    row = Stock.decode(message.value())
    entries.newest(schema.stock, (warehouse, sku), {"warehouse": warehouse, "sku": sku, **row._asdict()})


#: The tables, and how a row of theirs is read.
STATES: Final[dict[str, RowMapper]] = {
    "orders": _order,
    "accounts": _account,
    "stock": _stock,
    **{table: _step_reader(service) for table, service in _JOURNALS.items()},
}
