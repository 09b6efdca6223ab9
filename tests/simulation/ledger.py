"""Money and stock counted again from records and decisions, without the amounts in the rows (I1, I2)."""

from collections import defaultdict
from decimal import Decimal

from saga_app.core.decider import Verdict
from saga_app.core.records import (
    FundsDeposited,
    FundsWithdrawn,
    OrdersEvicted,
    RefundRequest,
    RestockRequested,
    StepRequest,
    StockAdjusted,
    StockReceived,
)
from saga_app.core.refund_rows import RefundState
from saga_app.core.retention.rows import Total
from saga_app.core.row_keys import parts_of
from saga_app.core.rows import Account, JournalRow, State, Stock
from tests.simulation.oracle import ExpectedDecision
from tests.simulation.violation import must

Amounts = dict[str, Decimal]


class BalanceLedger:
    """The right balance of each account or article in one partition of payment or inventory."""

    def __init__(self) -> None:
        self.brought: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.balance: dict[str, Decimal] = {}
        self.evicted: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._supplies: set[str] = set()
        self._taken: dict[str, Amounts] = {}
        self._segments: dict[str, str | None] = {}

    def check(self, told: ExpectedDecision) -> None:
        """After each record: the balances written are those of the ledger, and nothing is below zero."""
        changed = self._book(told)
        written = {put.key: put.row for put in told.puts if isinstance(put.row, Account | Stock)}
        must(set(written) == changed, _which(written), f"offset {told.offset} moved {set(written)}")
        for key, row in written.items():
            invariant = "I1 money" if isinstance(row, Account) else "I2 stock"
            brought, there = (
                (row.deposited, row.balance) if isinstance(row, Account) else (row.received, row.available)
            )
            must(
                (self.brought[key], self.balance[key]) == (brought, there),
                invariant,
                f"{key} has {there} of {brought} and must have {self.balance[key]} of {self.brought[key]}",
            )
            must(there >= 0, invariant, f"{key} is below zero: {there}")

    def _book(self, told: ExpectedDecision) -> set[str]:
        record = told.record
        match record:
            case FundsDeposited():
                return self._supply(told, {f"{record.customer_id}:{record.currency}": record.amount})
            case StockReceived():
                units: defaultdict[str, Decimal] = defaultdict(Decimal)
                for line in record.lines:
                    units[f"{record.warehouse}:{line.sku}"] += line.quantity
                return self._supply(told, units)
            case RefundRequest():
                return self._given_back(told, record)
            case FundsWithdrawn():
                return self._correct(told, {f"{record.customer_id}:{record.currency}": -record.amount})
            case StockAdjusted():
                lines = {f"{record.warehouse}:{each.sku}": Decimal(each.quantity) for each in record.lines}
                return self._correct(told, lines)
            case StepRequest():
                return self._decided(told, record)
            case OrdersEvicted() if told.verdict is Verdict.APPLIED:
                self._evict(told, record)
                return set()
            case _:
                return set()

    def _evict(self, told: ExpectedDecision, record: OrdersEvicted) -> None:
        """Adds the amounts of these orders to the totals, so that sums are right without their rows."""
        changed = set()
        for order_id in filter(lambda each: self._is_named(each, record), record.order_ids):
            for key, amount in self._taken.pop(order_id).items():
                self.evicted[key] -= amount
                changed.add(f"evicted:{key}")
        totals = {put.key: Decimal(put.row.moved) for put in told.puts if isinstance(put.row, Total)}
        expected = {key: self.evicted[key.removeprefix("evicted:")] for key in changed}
        must(
            totals == expected, "I1 money", f"{record} made the totals {totals}, and they must be {expected}"
        )

    def _is_named(self, order_id: str, record: OrdersEvicted) -> bool:
        """True if what the order moved is there, and its segment is among those that the record evicts."""
        if (segment := self._segments.get(order_id)) is None or order_id not in self._taken:
            return False
        partition, number = parts_of(segment)
        is_in_them = record.first_segment <= number < record.below_segment
        return is_in_them and partition == record.checkout_partition

    def _supply(self, told: ExpectedDecision, brought: Amounts) -> set[str]:
        if told.key is None or told.key in self._supplies:
            return set()
        self._supplies.add(told.key)
        for key, amount in brought.items():
            self.brought[key] += amount
            self.balance[key] = self.balance.get(key, Decimal(0)) + amount
        return set(brought)

    def _correct(self, told: ExpectedDecision, differences: Amounts) -> set[str]:
        """All of a withdrawal or an adjustment, or, where it would take more than is there, nothing of it."""
        if told.key is None or told.key in self._supplies:
            return set()
        self._supplies.add(told.key)
        if any(
            amount < 0 and self.balance.get(key, Decimal(0)) + amount < 0
            for key, amount in differences.items()
        ):
            return set()
        for key, amount in differences.items():
            self.brought[key] += amount
            self.balance[key] = self.balance.get(key, Decimal(0)) + amount
        return set(differences)

    def _decided(self, told: ExpectedDecision, step_request: StepRequest) -> set[str]:
        row = next((put.row for put in told.puts if isinstance(put.row, JournalRow)), None)
        if row is not None and row.state is State.DONE:
            moved = self._taken[step_request.order_id] = self._wanted(step_request)
            self._segments[step_request.order_id] = step_request.segment
            sign = -1
        elif row is not None and row.state is State.UNDONE:
            moved, sign = self._taken.pop(step_request.order_id, {}), 1
        else:
            return set()
        for key, amount in moved.items():
            self.balance[key] = self.balance.get(key, Decimal(0)) + sign * amount
        return set(moved)

    def _given_back(self, told: ExpectedDecision, request: RefundRequest) -> set[str]:
        """A refund that is done gives back where the order took from, and no more than it took."""
        row = next((put.row for put in told.puts if isinstance(put.row, JournalRow)), None)
        if row is None or row.refunds[-1].state is RefundState.REFUSED:
            return set()
        order, refund, taken = request.order, request.refund, self._taken[request.order_id]
        if isinstance(request, RestockRequested):
            moved = {f"{order.warehouse}:{line.sku}": Decimal(line.quantity) for line in refund.lines}
        else:
            moved = dict.fromkeys(taken, refund.amount) if refund.amount else {}
        for key, amount in moved.items():
            must(taken[key] >= amount, "I1 money", f"{request} gives back more of {key} than was taken")
            taken[key] -= amount
            self.balance[key] += amount
        return set(moved)

    def _wanted(self, step_request: StepRequest) -> Amounts:
        order = step_request.order
        if type(step_request).__name__ == "PaymentRequested":
            key = f"{order.customer_id}:{order.currency}"
            return {key: order.amount} if key in self.balance and order.amount else {}
        return {f"{order.warehouse}:{line.sku}": Decimal(line.quantity) for line in order.lines}


def _which(rows: dict[str, Account | Stock]) -> str:
    return "I2 stock" if any(isinstance(row, Stock) for row in rows.values()) else "I1 money"
