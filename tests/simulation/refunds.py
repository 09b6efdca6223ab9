"""Refunds across the services: whole or not at all, and never more than was paid and taken (I1, I2, I4)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from saga_app.core.order import Order
from saga_app.core.records import RefundRequest, RepaymentRequested, RestockRequested
from saga_app.core.refund import Refund
from saga_app.core.refund_rows import OrderRefund, RefundState, RefundStatus
from saga_app.core.rows import ClosedOrder, JournalRow, OrderRow, Status
from tests.simulation.oracle import ExpectedDecision
from tests.simulation.violation import must

_AFTER: Final = {
    None: {RefundStatus.OPEN, RefundStatus.REFUSED},
    RefundStatus.OPEN: {RefundStatus.COMPLETED, RefundStatus.REFUSED},
}
Key = tuple[str, str]


class RefundsWatch:
    """The refunds of all orders, counted again from the requests, without the sums of the rules."""

    def __init__(self) -> None:
        #: By order and refund, its status, and what payment and inventory have done of it.
        self._status: dict[Key, RefundStatus] = {}
        self._paid: dict[Key, Refund] = {}
        self._restocked: dict[Key, Refund] = {}
        #: Of refunds of orders whose ids were used again.
        self._reused: list[RefundStatus] = []

    @property
    def open(self) -> bool:
        """True if a refund has not ended."""
        return RefundStatus.OPEN in self._status.values()

    def statuses(self) -> Iterator[RefundStatus]:
        yield from (*self._status.values(), *self._reused)

    def anew(self, order: str) -> None:
        """The id of this order is used again."""
        self._reused += [status for key, status in self._status.items() if key[0] == order]
        for known in (self._status, self._paid, self._restocked):
            for key in [key for key in known if key[0] == order]:
                del known[key]

    def check(self, topic: str, told: ExpectedDecision, orders: Mapping[str, Status]) -> None:
        """After one record of that topic; `orders` has the status of each order before it."""
        for put in told.puts:
            if isinstance(put.row, OrderRow):
                for refund in put.row.refunds:
                    self._at_checkout(put.key, refund, orders)
            elif isinstance(put.row, ClosedOrder):
                is_open = any(
                    status is RefundStatus.OPEN for key, status in self._status.items() if key[0] == put.key
                )
                must(not is_open, "I4 all or nothing", f"{put.key} is closed with an open refund")
            elif isinstance(put.row, JournalRow) and isinstance(told.record, RefundRequest):
                self._at_step(topic, put.row, told.record)

    def _at_checkout(self, order: str, refund: OrderRefund, orders: Mapping[str, Status]) -> None:
        key = order, refund.refund_id
        before = self._status.get(key)
        if before is refund.status:
            return
        must(refund.status in _AFTER[before], "I3 one ending", f"{key} went from {before} to {refund.status}")
        self._status[key] = refund.status
        if refund.status is RefundStatus.OPEN:
            completed = orders.get(order) is Status.COMPLETED
            must(completed, "I4 all or nothing", f"{key} is open, and its order is {orders.get(order)}")
            return
        wanted = refund.status is RefundStatus.COMPLETED
        restocks = wanted and refund.restock and bool(refund.lines)
        must((key in self._paid) is wanted, "I4 all or nothing", f"{key} is {refund.status}, half of it")
        must(
            (key in self._restocked) is restocks, "I4 all or nothing", f"{key} is {refund.status}, half of it"
        )

    def _at_step(self, topic: str, row: JournalRow, request: RefundRequest) -> None:
        key = request.order_id, request.refund.refund_id
        entry = next(each for each in row.refunds if each.refund_id == key[1])
        must(self._status.get(key) is RefundStatus.OPEN, "I6 nothing from nowhere", f"{topic}: {request}")
        if entry.state is not RefundState.DONE:
            return
        known = self._paid if isinstance(request, RepaymentRequested) else self._restocked
        must(key not in known, "I4 all or nothing", f"{topic} gives {key} back twice")
        known[key] = request.refund
        if isinstance(request, RestockRequested):
            must(key in self._paid, "I4 all or nothing", f"{key} is restocked before it is paid back")
        self._no_more_than(request.order)

    def _no_more_than(self, order: Order) -> None:
        """Than the order paid and took."""
        paid = sum((each.amount for key, each in self._paid.items() if key[0] == order.order_id), Decimal(0))
        must(paid <= order.amount, "I1 money", f"{order.order_id} paid {order.amount} and got {paid} back")
        units: Counter[str] = Counter()
        for key, each in self._restocked.items():
            if key[0] == order.order_id:
                units.update({line.sku: line.quantity for line in each.lines})
        taken = defaultdict(int, {line.sku: line.quantity for line in order.lines})
        for sku, quantity in units.items():
            must(quantity <= taken[sku], "I2 stock", f"{order.order_id} took {taken[sku]} of {sku}")
