"""The rule of an own step, without what most of them have alike: it is supplied with nothing and moves no balance."""

from saga_app.core.decider import Decision, Position, Rows
from saga_app.core.errors import Fault, Rejected
from saga_app.core.moves import Moves
from saga_app.core.order import Order
from saga_app.core.records import Reason, Record
from saga_app.core.step import Step


class OwnRule:
    """See `participant.Rule`, and `participant.OutsideRule` for a step whose effect is at a provider."""

    accepts: tuple[type[Record], ...] = ()
    balances = None

    def __init__(self, step: Step) -> None:
        self.step = step
        self.journal = step.journal

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        """The reason to refuse the order; an empty mapping if it is accepted, which it is here."""
        return {}

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        """Refuses every record that is not about an order."""
        raise Rejected(Fault.UNEXPECTED_RECORD, f"{self.step.name} is supplied with nothing")
