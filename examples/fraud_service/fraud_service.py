"""The same step at a service outside, which is asked over HTTP. `SAGA_STEPS=fraud_service`."""

from typing import Final, Literal

from saga_app.core.decider import Rows
from saga_app.core.order import Order
from saga_app.core.outside import Outside
from saga_app.core.own_rule import OwnRule
from saga_app.core.records import Do, Undo
from saga_app.core.step import Step
from saga_app.core.step_names import StepName


class ScreeningRequested(Do):
    """Screen the order."""

    type: Literal["ScreeningRequested"] = "ScreeningRequested"


class ScreeningWithdrawalRequested(Undo):
    """Withdraw what the screening allowed."""

    type: Literal["ScreeningWithdrawalRequested"] = "ScreeningWithdrawalRequested"


class FraudService(OwnRule):
    """The provider `fraud` clears each order, or refuses it."""

    def outside(self, order: Order, rows: Rows) -> Outside:
        return Outside("fraud")


STEP: Final = Step(
    StepName("fraud_service"),
    do=ScreeningRequested,
    undo=ScreeningWithdrawalRequested,
    journal="screenings",
    done="screened",
    undone="withdrawn",
)
RULE: Final = FraudService(STEP)
