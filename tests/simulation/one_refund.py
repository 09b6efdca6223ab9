"""The refunds of one order, exhaustively: people ask for them at any moment, and their records come in every sequence.

All that may happen to an order may happen: records come twice or never, deadlines pass, the order is cancelled,
evicted and purged.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from saga_app import topics
from saga_app.core.records import RefundOpened
from saga_app.core.refund_rows import RefundState, RefundStatus
from saga_app.core.rows import OrderRow, Status
from tests.simulation.one_order import Budget, Exploration, OrderState, tables_in
from tests.simulation.violation import must
from tests.support.examples import refund_opened

#: Of an order of 40.00 with two units of one article; each pair is asked for in this sequence.
REFUNDS: Final[dict[str, tuple[RefundOpened, ...]]] = {
    "in parts": (
        refund_opened("r1", "15.00"),
        refund_opened("r2", "25.00", lines=[("a", 2)], restock=True),
    ),
    "too much": (
        refund_opened("r1", "30.00", lines=[("a", 1)], restock=True),
        refund_opened("r2", "10.01", lines=[("a", 1)], restock=True),
    ),
    "whole, twice": (refund_opened("r1", restock=True), refund_opened("r2", restock=True)),
    "the same": (refund_opened("r1", "30.00"), refund_opened("r1", "30.00")),
    "goods later": (
        refund_opened("r1", "40.00"),
        refund_opened("r2", "0", lines=[("a", 1)], restock=True),
    ),
}


class RefundExploration(Exploration):
    """All states of one order and its refunds."""

    def __init__(self, name: str, budget: Budget) -> None:
        self.refunds = REFUNDS[name]
        super().__init__("accepted", budget._replace(refunds=len(self.refunds)))

    def after_outside(self, state: OrderState) -> Iterator[tuple[OrderState, bool]]:
        """People ask for the next refund."""
        budget = state.budget
        if budget.refunds:
            record = self.refunds[-budget.refunds]
            asked = self.decided(state, state.on_its_way, record)
            yield asked._replace(budget=budget._replace(refunds=budget.refunds - 1)), False

    def given_back(self, state: OrderState) -> tuple[Decimal, int]:
        """Checks that each refund is whole or not there; counts by what checkout accepted, while it has the row."""
        row = self.row(state)
        if not isinstance(row, OrderRow):
            return self._of_closed(state)
        for each in row.refunds:
            self._is_whole(state, each.refund_id, each.status)
            must(
                each.status is RefundStatus.REFUSED or row.status is Status.COMPLETED,
                "I4 all or nothing",
                f"{each} of {row}",
            )
        known = {each.refund_id: each for each in row.refunds}
        paid = self._done(state, topics.PAYMENT)
        restocked = self._done(state, topics.INVENTORY)
        must(restocked <= paid, "I4 all or nothing", f"restocked {restocked}, paid back {paid}")
        must(paid <= known.keys(), "I6 nothing from nowhere", f"{paid} of {known}")
        money = sum((known[each].amount or Decimal(0) for each in paid), Decimal(0))
        units = sum(line.quantity for each in restocked for line in known[each].lines)
        must(money <= 40 and units <= 2, "I1 money", f"{money} and {units} of an order of 40.00 and 2")
        return money, units

    def _of_closed(self, state: OrderState) -> tuple[Decimal, int]:
        """A service that has not evicted the order yet still says what it gave back."""
        paid, back = (tables_in(topic, state).journal("o1") for topic in (topics.PAYMENT, topics.INVENTORY))
        money = sum(
            (each.amount or Decimal(0) for each in (paid.refunds if paid else ()) if each.moves), Decimal(0)
        )
        units = sum(int(each) for refund in (back.refunds if back else ()) for each in refund.moves.values())
        return money, units

    def totals_are(self, spent: Decimal, taken: Decimal, wanted: int) -> None:
        must(-40 <= spent <= 0 and -wanted <= taken <= 0, "I1 money", f"totals {spent} and {taken}")

    def _is_whole(self, state: OrderState, refund_id: str, status: RefundStatus) -> None:
        paid = refund_id in self._done(state, topics.PAYMENT)
        restocked = refund_id in self._done(state, topics.INVENTORY)
        wanted = next(each for each in self.refunds if each.refund_id == refund_id).restock
        if status is RefundStatus.COMPLETED:
            must(paid and restocked is wanted, "I4 all or nothing", f"{refund_id} is completed, half of it")
        elif status is RefundStatus.REFUSED:
            must(not paid and not restocked, "I4 all or nothing", f"{refund_id} is refused, half of it")

    def _done(self, state: OrderState, topic: str) -> set[str]:
        row = tables_in(topic, state).journal("o1")
        refunds = () if row is None else row.refunds
        return {each.refund_id for each in refunds if each.state is RefundState.DONE}
