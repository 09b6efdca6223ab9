"""Inventory: reserves all lines of an order in one warehouse or none, or puts them back."""

from saga_app.core import route
from saga_app.core.decision import At, Decision, Rows
from saga_app.core.moves import Moves, Supply, balance
from saga_app.core.records import Order, Reason, Record, StepName, StockReceived, digest, merged
from saga_app.core.rows import Stock


def refuse(wanted: list[tuple[Stock | None, int]]) -> Reason | None:
    """Why these lines (the stock of each, and the units wanted) cannot be reserved, or None."""
    if any(stock is None for stock, _ in wanted):
        return Reason.UNKNOWN_SKU
    if any(stock.available < quantity for stock, quantity in wanted if stock is not None):
        return Reason.OUT_OF_STOCK
    return None


class Inventory:
    """The rule of the inventory service; see `participant.Rule`."""

    step = route.step(StepName.INVENTORY)
    accepts = (StockReceived,)
    journal = step.journal
    balances = "stock"

    def __init__(self) -> None:
        self._deliveries = Supply(self.journal, self.balances, Stock(-1, 0, 0))

    def judge(self, order: Order, at: At, rows: Rows) -> Reason | Moves:
        wanted: list[tuple[Stock | None, int]] = []
        for line in order.lines:
            stock = balance(f"{order.warehouse}:{line.sku}", at, rows)
            assert stock is None or isinstance(stock, Stock)
            wanted.append((stock, line.quantity))
        reason = refuse(wanted)
        if reason is not None:
            return reason
        return {f"{order.warehouse}:{line.sku}": -line.quantity for line in order.lines}

    def supply(self, record: Record, at: At, rows: Rows) -> Decision:
        assert isinstance(record, StockReceived)
        lines = merged((line.sku, line.quantity) for line in record.lines)
        moves: Moves = {f"{record.warehouse}:{line.sku}": line.quantity for line in lines}
        content = digest(repr(sorted(moves.items())).encode())
        return self._deliveries.decide(
            f"delivery:{record.warehouse}:{record.delivery_id}", content, moves, at, rows
        )
