"""Inventory: reserves all lines of an order in one warehouse, or none; the compensation puts them back."""

from collections.abc import Iterable
from typing import cast

from saga_app.core import route
from saga_app.core.decider import Decision, Position, Rows
from saga_app.core.moves import Moves, Short, Supply, balance
from saga_app.core.numbers import NEVER
from saga_app.core.order import Order, digest, merged
from saga_app.core.records import (
    Reason,
    Record,
    RestockRequested,
    StepName,
    StockAdjusted,
    StockReceived,
)
from saga_app.core.row_keys import adjustment_key, balance_key, delivery_key
from saga_app.core.rows import Stock


def refuse(wanted: Iterable[tuple[Stock | None, int]]) -> Reason | None:
    """The reason not to reserve these lines (the stock of each, and the units wanted), or None."""
    reason = None
    for stock, quantity in wanted:
        if stock is None:
            return Reason.UNKNOWN_SKU
        if stock.available < quantity:
            reason = Reason.OUT_OF_STOCK
    return reason


class Inventory:
    """The rule of the inventory service; see `participant.Rule`."""

    step = route.step(StepName.INVENTORY)
    accepts = (StockReceived, StockAdjusted, RestockRequested)
    journal = step.journal
    balances = "stock"

    def __init__(self) -> None:
        short = Short(Reason.UNKNOWN_SKU, Reason.OUT_OF_STOCK)
        self._supplies = Supply(self.step.name, self.journal, self.balances, Stock(NEVER, 0, 0), short)

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        moves = {balance_key(order.warehouse, line.sku): -line.quantity for line in order.lines}
        wanted = [(cast("Stock | None", balance(key, at, rows)), -units) for key, units in moves.items()]
        return refuse(wanted) or moves

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        moves: Moves
        if isinstance(record, StockAdjusted):
            moves = {balance_key(record.warehouse, line.sku): line.quantity for line in record.lines}
            content = digest(repr((record.reason.value, sorted(moves.items()))).encode())
            key = adjustment_key(record.warehouse, record.adjustment_id)
            return self._supplies.decide(key, content, moves, at, rows, record.reason.value)
        assert isinstance(record, StockReceived)
        lines = merged((line.sku, line.quantity) for line in record.lines)
        moves = {balance_key(record.warehouse, line.sku): line.quantity for line in lines}
        content = digest(repr(sorted(moves.items())).encode())
        return self._supplies.decide(
            delivery_key(record.warehouse, record.delivery_id), content, moves, at, rows
        )
