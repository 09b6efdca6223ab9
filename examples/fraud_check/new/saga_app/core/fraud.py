"""Fraud: clears an order before it is paid. An order without a customer is cleared up to a limit."""

from decimal import Decimal
from typing import Final

from saga_app.core import route
from saga_app.core.decider import Position, Decision, Rows
from saga_app.core.errors import Fault, Rejected
from saga_app.core.moves import Moves
from saga_app.core.order import Order
from saga_app.core.records import Reason, Record, StepName

#: In units of the order's currency.
LIMIT_WITHOUT_CUSTOMER: Final = Decimal("500.00")


def refuse(order: Order) -> Reason | None:
    """Why this order must not go on, or None."""
    if order.customer_id is None and order.amount > LIMIT_WITHOUT_CUSTOMER:
        return Reason.SUSPECTED_FRAUD
    return None


class Fraud:
    """The rule of the fraud service; see `participant.Rule`."""

    step = route.step(StepName.FRAUD)
    accepts: tuple[type[Record], ...] = ()
    journal = step.journal
    balances = None

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        return refuse(order) or {}

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        raise Rejected(Fault.UNEXPECTED_RECORD, "the fraud check is supplied with nothing")
