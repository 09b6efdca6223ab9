"""A step whose effect is at a provider: the rows that the machine of `outside` writes, and what it sends."""

from collections.abc import Mapping
from typing import Final

from saga_app.core import route
from saga_app.core.decider import IGNORED, Decision, Position, Put, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.order import Order
from saga_app.core.outside import (
    CAPTURE_MACHINE,
    CONFLICT,
    MACHINE,
    PIVOT_MACHINE,
    RETRIABLE_MACHINE,
    STAY,
    Inputs,
    Outside,
    OutsideInput,
    OutsideOutput,
    OutsideTransition,
    told,
)
from saga_app.core.records import (
    CaptureRequested,
    Outcome,
    Reason,
    Record,
    StepAnswered,
    StepName,
    StepRequest,
    Undo,
)
from saga_app.core.rows import JournalRow, OutsideEffect, State
from saga_app.core.step import Step, StepKind

_OUTCOMES: Final = frozenset({OutsideOutput.SEND_ON, OutsideOutput.SEND_BACK})


class OutsideStep:
    """Decides the requests and answers about an effect that a provider has, or may have."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.journal = step.journal
        self._machine = _machine(step)

    def first(
        self, record: StepRequest, where: Outside, refused: Reason | None, at: Position
    ) -> Decision | None:
        """The first request for an order; None if the provider need not be asked: it has nothing and gets nothing."""
        turned = {}
        if isinstance(record, Undo):
            kind = OutsideInput.UNDO if where.begun is None else OutsideInput.BEGUN_UNDO
            turned = {"reason": record.reason, "step": record.step}
        elif refused is not None:
            kind = OutsideInput.REFUSED if where.begun is None else OutsideInput.BEGUN_REFUSED
            turned = {"reason": refused, "step": self.step.name}
        else:
            kind = OutsideInput.ACCEPTED
        transition = self._machine[None][kind]
        if transition.output is not OutsideOutput.NOTHING:
            return None
        assert transition.to is not None
        effect = OutsideEffect(where.provider, at.time, record.order.canonical, where.begun)
        row = JournalRow(
            at.version,
            transition.to,
            record.order.digest,
            segment=record.segment,
            outside=effect,
            **turned,  # type: ignore[arg-type]
        )
        return self._applied(transition, row, record.order)

    def requested(self, record: StepRequest, row: JournalRow, at: Position) -> Decision:
        """A later request for an order whose effect is outside."""
        if row.version >= at.offset:
            return repeated(self._outcome(row, record.order))
        transition = self._machine[row.state].get(_input(record))
        if transition is None:
            asked = type(record).__name__
            raise Rejected(
                Fault.CONTRADICTION, f"{asked} cannot come to a {self.step.name} that is {row.state}"
            )
        if transition.to is None:
            return repeated(self._sends(transition, row, record.order, undo=isinstance(record, Undo)))
        assert row.outside is not None
        changed = row._replace(version=at.version, state=transition.to, outside=row.outside.asked_anew())
        if isinstance(record, Undo):
            changed = changed._replace(reason=record.reason, step=record.step)
        return self._applied(transition, changed, record.order)

    def answered(self, record: StepAnswered, row: JournalRow | None, at: Position) -> Decision:
        """A fact about one reference at the provider, whoever brings it; or that there is none yet."""
        if record.step is not self.step.name:
            raise Rejected(Fault.UNEXPECTED_RECORD, f"it is for {record.step}")
        if row is None or row.segment != record.segment:
            return IGNORED
        effect = row.outside
        if row.version >= at.offset:
            return repeated([] if effect is None else self._outcome(row, effect.as_order))
        transition = self._transition(record, row)
        if record.settles and row.conflict is not None and transition.to is None:
            settled = row._replace(version=at.version, conflict=None)
            return Decision(Verdict.APPLIED, Put(self.journal, record.order_id, settled))
        if transition.output is OutsideOutput.CONFLICT:
            return self._conflict(record, row, at)
        if transition.to is None or effect is None:
            return IGNORED
        learned = effect.answered(record)
        if transition.to is row.state and learned.reference == effect.reference:
            if record.version != row.version:
                return IGNORED
            learned = learned._replace(tries=effect.tries + 1)
        changed = row._replace(version=at.version, state=transition.to, outside=learned)
        if record.settles:
            changed = changed._replace(conflict=None)
        return self._applied(transition, _dated(changed, row, record, at), effect.as_order)

    def _transition(self, record: StepAnswered, row: JournalRow) -> OutsideTransition:
        effect = row.outside
        if effect is None or effect.reference not in (None, record.reference):
            if effect is not None and _settles_capture(record, row):
                return told(self._machine[row.state], record.outcome)
            # One effect too many; or none, where none was asked for.
            return CONFLICT if record.outcome in (Outcome.DONE, Outcome.CAPTURED) else STAY
        return told(self._machine[row.state], record.outcome)

    def _conflict(self, record: StepAnswered, row: JournalRow, at: Position) -> Decision:
        if row.conflict is not None:
            return IGNORED
        conflict = f"{record.outcome}:{record.reference or ''}"
        note = f"{self.step.name} is {row.state}, but its provider says {conflict}"
        put = Put(self.journal, record.order_id, row._replace(version=at.version, conflict=conflict))
        return Decision(Verdict.APPLIED, put, note=note, alarm=True)

    def _applied(self, transition: OutsideTransition, row: JournalRow, order: Order) -> Decision:
        put = Put(self.journal, order.order_id, row)
        return Decision(Verdict.APPLIED, put, sends=self._sends(transition, row, order))

    def _outcome(self, row: JournalRow, order: Order) -> tuple[Record, ...]:
        """The recorded outcome, as a record; none while a provider is asked."""
        return self._sends(self._machine[row.state][OutsideInput.AGAIN], row, order)

    def _sends(
        self, transition: OutsideTransition, row: JournalRow, order: Order, *, undo: bool = False
    ) -> tuple[Record, ...]:
        if transition.output not in _OUTCOMES:
            return ()
        if transition.output is OutsideOutput.SEND_ON:
            # Of a payment, the state says which of its two steps has ended.
            here = route.CAPTURE if row.state is State.CAPTURED else self.step
            return (route.send_on(here, order, row.segment),)
        assert row.reason is not None and row.step is not None
        if row.state is State.REFUSED and row.step is self.step.name and not undo:
            return (route.turn(self.step, order, row.reason, row.segment),)
        return (route.send_back(self.step, order, row.reason, row.step, row.segment),)


def _machine(step: Step) -> Mapping[State | None, Inputs]:
    if step.name is StepName.PAYMENT:
        return CAPTURE_MACHINE
    return {StepKind.PIVOT: PIVOT_MACHINE, StepKind.RETRIABLE: RETRIABLE_MACHINE}.get(step.kind, MACHINE)


def _input(record: StepRequest) -> OutsideInput:
    if isinstance(record, CaptureRequested):
        return OutsideInput.CAPTURE
    return OutsideInput.UNDO if isinstance(record, Undo) else OutsideInput.AGAIN


def _settles_capture(record: StepAnswered, row: JournalRow) -> bool:
    """True if a person says where the money is that could not be captured: it may have come in another way."""
    is_settled = record.settles is not None and row.conflict is not None
    return is_settled and row.state is State.CAPTURING and record.outcome is Outcome.CAPTURED


def _dated(changed: JournalRow, before: JournalRow, record: StepAnswered, at: Position) -> JournalRow:
    """The row with the offset of its effect, and with the reason of a refusal that the provider made."""
    match changed.state:
        case State.DONE:
            return changed._replace(done_at=at.offset, reason=None, step=None)
        case State.UNDOING if before.state is not State.UNDOING:
            return changed._replace(done_at=at.offset)
        case State.UNDONE:
            done_at = at.offset if before.done_at is None else before.done_at
            changed = changed._replace(done_at=done_at, undone_at=at.offset)
    if changed.state in (State.REFUSED, State.UNDONE) and before.state is State.DOING:
        return changed._replace(reason=record.reason or Reason.DECLINED, step=record.step)
    return changed
