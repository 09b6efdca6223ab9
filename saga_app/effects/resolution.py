"""The answer of a person who has looked at a provider: a record like any other answer, and what a worker makes of it.

The rules are those for a provider's answers. A person may say what no provider can: that a conflict is settled.
"""

from typing import Final, NamedTuple

from saga_app.core.decider import Decision, Position, Verdict
from saga_app.core.numbers import Offset
from saga_app.core.outside_step import OutsideStep
from saga_app.core.records import OrderCancelled, OrderCompleted, Outcome, StepAnswered, Undo
from saga_app.core.rows import JournalRow
from saga_app.core.step import Step
from saga_app.effects.journals import OrderEffect

#: The code of an answer that a person gave.
PERSON: Final = "person"


class Resolution(NamedTuple):
    """The record, and the decision about it as the row is now."""

    record: StepAnswered
    decision: Decision
    before: JournalRow

    @property
    def after(self) -> JournalRow | None:
        """The row afterwards; None if the answer changes nothing."""
        put = self.decision.journal
        if self.decision.verdict is not Verdict.APPLIED or put is None:
            return None
        assert isinstance(put.row, JournalRow)
        return put.row

    @property
    def is_conflict(self) -> bool:
        """True if it contradicts what the journal knows: the row would only note that."""
        return self.decision.alarm

    def follows(self) -> str:
        """The way that the order goes then, in words; empty if it stays where it is."""
        for record in self.decision.sends:
            if isinstance(record, OrderCompleted):
                return "the order is completed"
            if isinstance(record, OrderCancelled):
                return "the order is cancelled"
            return "the compensations go on" if isinstance(record, Undo) else "the order goes on"
        return ""


def resolution(
    order_id: str,
    step: Step,
    found: OrderEffect,
    outcome: Outcome,
    reference: str | None,
    note: str,
    *,
    settles: bool,
) -> Resolution:
    """The answer, about the reference of the row unless another one is named. `ValueError` if no record can say so."""
    row = found.row
    known = None if row.outside is None else row.outside.reference
    record = StepAnswered(
        order_id=order_id,
        segment=row.segment,
        step=step.name,
        key=found.key,
        outcome=outcome,
        reference=reference or known,
        code=PERSON,
        detail=note,
        settles=True if settles else None,
    )
    next_one = Position(Offset(row.version + 1), 0)
    return Resolution(record, OutsideStep(step).answered(record, row, next_one), row)
