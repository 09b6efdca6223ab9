"""The participant machine: one for every step of the saga, which acts on a `Do` and runs its compensation on an `Undo`.

The compensation of a step moves back what the step moved. A compensation that arrives before its action is recorded as
VOID: the action never happens then.

A repeat never decides again: it sends the recorded outcome again. So a duplicate, a replay after a crash and a
nudge are one case, and one message causes at most one message.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from saga_app.core import capture, route
from saga_app.core.decider import Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.machine import Transition
from saga_app.core.moves import Moves, inverse, moved, same_content
from saga_app.core.order import Order
from saga_app.core.outside import Outside
from saga_app.core.outside_step import OutsideStep
from saga_app.core.records import (
    REFUND_REQUESTS,
    CaptureRequested,
    OrdersEvicted,
    Reason,
    Record,
    RefundRequest,
    StepAnswered,
    StepRequest,
    Undo,
)
from saga_app.core.refund_step import RefundStep, not_done
from saga_app.core.retention import eviction
from saga_app.core.rows import JournalRow, State
from saga_app.core.step import Step, StepKind


class StepInput(StrEnum):
    """A step request as the machine sees it; the rule is asked only if the order has no row yet."""

    ACCEPTED = "do, accepted"
    REFUSED = "do, refused"
    AGAIN = "do again"
    UNDO = "undo"


class StepOutput(StrEnum):
    """The way that the order goes from here: forwards, or back through the compensations."""

    SEND_ON = "send on"
    SEND_BACK = "send back"
    CALL_PEOPLE = "call people"


StepTransition = Transition[State | None, StepOutput]

MACHINE: Final[Mapping[State | None, Mapping[StepInput, StepTransition]]] = {
    None: {
        StepInput.ACCEPTED: Transition(State.DONE, StepOutput.SEND_ON),
        StepInput.REFUSED: Transition(State.REFUSED, StepOutput.SEND_BACK),
        StepInput.UNDO: Transition(State.VOID, StepOutput.SEND_BACK),
    },
    State.DONE: {
        StepInput.AGAIN: Transition(State.DONE, StepOutput.SEND_ON),
        StepInput.UNDO: Transition(State.UNDONE, StepOutput.SEND_BACK),
    },
    State.REFUSED: {
        StepInput.AGAIN: Transition(State.REFUSED, StepOutput.SEND_BACK),
        StepInput.UNDO: Transition(State.REFUSED, StepOutput.SEND_BACK),
    },
    State.UNDONE: {
        StepInput.AGAIN: Transition(State.UNDONE, StepOutput.SEND_BACK),
        StepInput.UNDO: Transition(State.UNDONE, StepOutput.SEND_BACK),
    },
    State.VOID: {
        StepInput.AGAIN: Transition(State.VOID, StepOutput.SEND_BACK),
        StepInput.UNDO: Transition(State.VOID, StepOutput.SEND_BACK),
    },
}

#: Past the pivot nothing is compensated: an undo that comes too late is told that the order completed.
PIVOT_MACHINE: Final[Mapping[State | None, Mapping[StepInput, StepTransition]]] = {
    **MACHINE,
    State.DONE: {
        StepInput.AGAIN: Transition(State.DONE, StepOutput.SEND_ON),
        StepInput.UNDO: Transition(State.DONE, StepOutput.SEND_ON),
    },
}

#: Behind the pivot there is only forward: a step there is never refused. If its rule says no, people are called, and
#: the rule is asked again with every nudge.
RETRIABLE_MACHINE: Final[Mapping[State | None, Mapping[StepInput, StepTransition]]] = {
    None: {
        StepInput.ACCEPTED: Transition(State.DONE, StepOutput.SEND_ON),
        StepInput.REFUSED: Transition(None, StepOutput.CALL_PEOPLE),
    },
    State.DONE: {StepInput.AGAIN: Transition(State.DONE, StepOutput.SEND_ON)},
}
MACHINES: Final = {
    StepKind.COMPENSATABLE: MACHINE,
    StepKind.PIVOT: PIVOT_MACHINE,
    StepKind.RETRIABLE: RETRIABLE_MACHINE,
}


class Rule(Protocol):
    """The difference between one service and another: which orders it accepts, what it moves, and what supplies it."""

    @property
    def step(self) -> Step: ...

    @property
    def accepts(self) -> tuple[type[Record], ...]: ...

    @property
    def journal(self) -> str: ...

    @property
    def balances(self) -> str | None: ...

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        """The reason to refuse the order, or the moves if it is accepted."""

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        """Decides a deposit, a delivery or a change of policy."""


class OutsideRule(Rule, Protocol):
    """The rule of a service of which a provider may have the effect."""

    def outside(self, order: Order, rows: Rows) -> Outside | None:
        """The provider of a new order's effect, by the order and the policy; None if this service has it itself."""


class Participant:
    """The fold of one service: the machine, driven by the service's rule."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.step = rule.step
        self.journal = rule.journal
        self.balances = rule.balances
        self.accepts: tuple[type[Any], ...] = (
            self.step.do,
            *([] if self.step.undo is None else [self.step.undo]),
            *rule.accepts,
            StepAnswered,
            OrdersEvicted,
        )
        self._machine = MACHINES[self.step.kind]
        self._outside_step = OutsideStep(self.step)
        self._refunds = RefundStep(rule.journal, rule.balances)
        #: A rule without this method has all effects itself.
        self._outside: Callable[[Order, Rows], Outside | None] | None = getattr(rule, "outside", None)

    def decide(self, record: Record, at: Position, rows: Rows) -> Decision:
        """See `Decider.decide`; the replay rule stands in `docs/explanation/engine.md`."""
        if not isinstance(record, StepRequest):
            return self._without_order(record, at, rows)
        # `isinstance` runs Python code of pydantic.
        is_capture = type(record) is CaptureRequested
        asked = route.CAPTURE.name if is_capture else self.step.name
        if asked not in (record.order.route or route.DEFAULT_NAMES):
            raise Rejected(Fault.UNEXPECTED_RECORD, f"the order's route does not pass {asked}")
        row = rows.journal(record.order_id)
        if eviction.is_evicted(record, row, rows):
            return Decision(Verdict.IGNORED, note="the order is evicted: nothing is done for it any more")
        if row is None:
            if is_capture:
                raise capture.unknown(record)
            return self._first(record, at, rows)
        same_content(row, record.order.digest, f"order {record.order_id}")
        if type(record) in REFUND_REQUESTS:
            assert isinstance(record, RefundRequest)
            return self._refunds.decide(record, row, at, rows)
        return self._again(record, row, at, rows)

    def _again(self, record: StepRequest, row: JournalRow, at: Position, rows: Rows) -> Decision:
        """A later request for the order's action or compensation."""
        if row.outside is not None:
            return self._outside_step.requested(record, row, at)
        if type(record) is CaptureRequested:
            return capture.inside(record, row)
        states = self._machine[row.state]
        if row.version >= at.offset:
            recorded = states[StepInput.AGAIN].output
            return repeated([self._send(recorded, record, row)], self._replayed(row, at, rows))
        transition = self._transition(states, StepInput.UNDO if isinstance(record, Undo) else StepInput.AGAIN)
        if transition.to is row.state:
            return repeated([self._send(transition.output, record, row)])
        return self._compensated(transition, record, row, at, rows)

    def _transition(self, states: Mapping[StepInput, StepTransition], kind: StepInput) -> StepTransition:
        if kind not in states:
            raise Rejected(Fault.CONTRADICTION, f"{kind} at {self.step.name}, which is behind the pivot")
        return states[kind]

    def _without_order(self, record: Record, at: Position, rows: Rows) -> Decision:
        if isinstance(record, StepAnswered):
            return self._outside_step.answered(record, rows.journal(record.order_id), at)
        if not isinstance(record, OrdersEvicted):
            return self.rule.supply(record, at, rows)
        if record.step is not self.step.name:
            raise Rejected(Fault.UNEXPECTED_RECORD, f"it is for {record.step}")
        return eviction.evict(self.journal, record, at, rows)

    def _first(self, record: StepRequest, at: Position, rows: Rows) -> Decision:
        if type(record) in REFUND_REQUESTS:
            assert isinstance(record, RefundRequest)
            raise not_done(record, None)
        digest, segment, first = record.order.digest, record.segment, self._machine[None]
        if isinstance(record, Undo):
            self._transition(first, StepInput.UNDO)
        where = None if self._outside is None else self._outside(record.order, rows)
        verdict = None if isinstance(record, Undo) else self.rule.judge(record.order, at, rows)
        if isinstance(verdict, Reason) and first[StepInput.REFUSED].output is StepOutput.CALL_PEOPLE:
            note = f"{self.step.name} refuses ({verdict}), and must not behind the pivot: it is asked again"
            return Decision(Verdict.IGNORED, note=note, alarm=True)
        if where is not None:
            refused = verdict if isinstance(verdict, Reason) else None
            if (decision := self._outside_step.first(record, where, refused, at)) is not None:
                return decision
        if isinstance(record, Undo):
            transition = first[StepInput.UNDO]
            assert transition.to is not None
            reason, step = record.reason, record.step
            row = JournalRow(at.version, transition.to, digest, reason=reason, step=step, segment=segment)
            return self._decided(transition, record, row)
        if isinstance(verdict, Reason):
            transition, step = first[StepInput.REFUSED], self.step.name
            assert transition.to is not None
            row = JournalRow(at.version, transition.to, digest, reason=verdict, step=step, segment=segment)
            return self._decided(transition, record, row)
        assert verdict is not None
        transition = first[StepInput.ACCEPTED]
        assert transition.to is not None
        moves = verdict or None
        row = JournalRow(at.version, transition.to, digest, done_at=at.offset, segment=segment, moves=moves)
        return self._decided(transition, record, row, moved(self.balances, verdict, at, rows))

    def _compensated(
        self, transition: StepTransition, record: StepRequest, row: JournalRow, at: Position, rows: Rows
    ) -> Decision:
        assert isinstance(record, Undo) and transition.to is not None
        if row.refunds:
            # Only an order that completed has refunds, and it is not compensated.
            raise Rejected(
                Fault.CONTRADICTION, f"{type(record).__name__} for order {record.order_id}, which has refunds"
            )
        undone = row._replace(
            version=at.version,
            state=transition.to,
            undone_at=at.offset,
            reason=record.reason,
            step=record.step,
            segment=record.segment,
        )
        return self._decided(transition, record, undone, moved(self.balances, inverse(row.moves), at, rows))

    def _decided(
        self, transition: StepTransition, record: StepRequest, row: JournalRow, balances: tuple[Put, ...] = ()
    ) -> Decision:
        put = Put(self.journal, record.order_id, row)
        return Decision(Verdict.APPLIED, put, balances, (self._send(transition.output, record, row),))

    def _send(self, output: StepOutput, record: StepRequest, row: JournalRow) -> Record:
        order, segment = record.order, record.segment
        if output is StepOutput.SEND_ON:
            return route.send_on(self.step, order, segment)
        assert row.reason is not None and row.step is not None
        if row.state is State.REFUSED and not isinstance(record, Undo):
            return route.turn(self.step, order, row.reason, segment)
        return route.send_back(self.step, order, row.reason, row.step, segment)

    def _replayed(self, row: JournalRow, at: Position, rows: Rows) -> tuple[Put, ...]:
        """The moves of exactly the record that made them, for each balance that does not have them yet."""
        return moved(self.balances, row.moved_at(at.offset), at, rows, replay=True)
