"""A step of a shop's own: it clears an order, or refuses it, before anything is paid. `SAGA_STEPS=fraud_check`."""

from decimal import Decimal
from typing import Final, Literal

from saga_app.core.decider import Position, Rows
from saga_app.core.moves import Moves
from saga_app.core.order import Order
from saga_app.core.own_rule import OwnRule
from saga_app.core.records import Do, Reason, Undo
from saga_app.core.step import Step
from saga_app.core.step_names import StepName

#: In units of the order's currency.
LIMIT_WITHOUT_CUSTOMER: Final = Decimal("500.00")


class ClearanceRequested(Do):
    """Clear the order."""

    type: Literal["ClearanceRequested"] = "ClearanceRequested"


class ClearanceWithdrawalRequested(Undo):
    """Withdraw the clearance."""

    type: Literal["ClearanceWithdrawalRequested"] = "ClearanceWithdrawalRequested"


class FraudCheck(OwnRule):
    """An order without a customer is cleared up to a limit."""

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        if order.customer_id is None and order.amount > LIMIT_WITHOUT_CUSTOMER:
            return Reason.DECLINED
        return {}


STEP: Final = Step(
    StepName("fraud_check"),
    do=ClearanceRequested,
    undo=ClearanceWithdrawalRequested,
    journal="fraud_checks",
    done="cleared",
    undone="withdrawn",
)
RULE: Final = FraudCheck(STEP)
