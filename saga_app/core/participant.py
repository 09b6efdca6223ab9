"""The participant machine: one for every step of the route.

A repeat never decides again: it sends the recorded outcome again. So a duplicate, a replay after a crash and a
nudge are one case, and one message causes at most one message.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from saga_app.core import route
from saga_app.core.decider import Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.moves import Moves, inverse, moved, same_content
from saga_app.core.order import Order
from saga_app.core.records import OrdersEvicted, Reason, Record, StepRequest, Undo
from saga_app.core.retention import eviction
from saga_app.core.route import Step
from saga_app.core.rows import JournalRow, State


class Asked(StrEnum):
    """What a step request means to a step; the rule is asked only where nothing is recorded yet."""

    ACCEPTED = "do, accepted"
    REFUSED = "do, refused"
    AGAIN = "do again"
    UNDO = "undo"


class Answer(StrEnum):
    """Where the order goes from here."""

    SEND_ON = "send on"
    SEND_BACK = "send back"


class Move(NamedTuple):
    """The next state and the way the order goes."""

    to: State
    answer: Answer


MACHINE: Final[Mapping[State | None, Mapping[Asked, Move]]] = {
    None: {
        Asked.ACCEPTED: Move(State.DONE, Answer.SEND_ON),
        Asked.REFUSED: Move(State.REFUSED, Answer.SEND_BACK),
        Asked.UNDO: Move(State.VOID, Answer.SEND_BACK),
    },
    State.DONE: {
        Asked.AGAIN: Move(State.DONE, Answer.SEND_ON),
        Asked.UNDO: Move(State.UNDONE, Answer.SEND_BACK),
    },
    State.REFUSED: {
        Asked.AGAIN: Move(State.REFUSED, Answer.SEND_BACK),
        Asked.UNDO: Move(State.REFUSED, Answer.SEND_BACK),
    },
    State.UNDONE: {
        Asked.AGAIN: Move(State.UNDONE, Answer.SEND_BACK),
        Asked.UNDO: Move(State.UNDONE, Answer.SEND_BACK),
    },
    State.VOID: {
        Asked.AGAIN: Move(State.VOID, Answer.SEND_BACK),
        Asked.UNDO: Move(State.VOID, Answer.SEND_BACK),
    },
}

#: Past the pivot nothing is undone: an undo that comes too late is told that the order completed.
PIVOT_MACHINE: Final[Mapping[State | None, Mapping[Asked, Move]]] = {
    **MACHINE,
    State.DONE: {
        Asked.AGAIN: Move(State.DONE, Answer.SEND_ON),
        Asked.UNDO: Move(State.DONE, Answer.SEND_ON),
    },
}


class Rule(Protocol):
    """All that makes a service: whether it accepts an order, what it moves then, and what supplies it."""

    @property
    def step(self) -> Step: ...

    @property
    def accepts(self) -> tuple[type[Record], ...]: ...

    @property
    def journal(self) -> str: ...

    @property
    def balances(self) -> str | None: ...

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        """Why the order must be refused, or what accepting it moves."""

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        """What a deposit, a delivery or a change of policy does."""


class Participant:
    """The fold of one service: the machine, driven by the service's rule."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.step = rule.step
        self.journal = rule.journal
        self.balances = rule.balances
        self.accepts: tuple[type[Any], ...] = (self.step.do, self.step.undo, *rule.accepts, OrdersEvicted)
        self._machine = PIVOT_MACHINE if self.step is route.PIVOT else MACHINE

    def decide(self, record: Record, at: Position, rows: Rows) -> Decision:
        """See `Decider.decide`; the replay rule stands in `docs/explanation/engine.md`."""
        if not isinstance(record, StepRequest):
            return self._without_order(record, at, rows)
        if eviction.is_evicted(record.segment, rows):
            return Decision(Verdict.IGNORED, note="the order is evicted: nothing is done for it any more")
        order = record.order
        row = rows.journal(order.order_id)
        if row is not None:
            same_content(row, order.digest, f"order {order.order_id}")
            if row.version >= at.offset:
                return repeated([self._answer(record, row)], self._replayed(row, at, rows))
            asked = Asked.UNDO if isinstance(record, Undo) else Asked.AGAIN
            move = self._machine[row.state][asked]
            if move.to is row.state:
                return repeated([self._answer(record, row)])
            return self._undo(record, row, move, at, rows)
        return self._first(record, at, rows)

    def _without_order(self, record: Record, at: Position, rows: Rows) -> Decision:
        if not isinstance(record, OrdersEvicted):
            return self.rule.supply(record, at, rows)
        if record.step is not self.step.name:
            raise Rejected(Fault.UNEXPECTED_RECORD, f"it is for {record.step}")
        return eviction.evict(self.journal, record, at, rows)

    def _first(self, record: StepRequest, at: Position, rows: Rows) -> Decision:
        order, segment, first = record.order, record.segment, self._machine[None]
        if isinstance(record, Undo):
            to = first[Asked.UNDO].to
            row = JournalRow(
                at.offset, to, order.digest, reason=record.reason, step=record.step, segment=segment
            )
            return self._decided(record, row)
        verdict = self.rule.judge(order, at, rows)
        if isinstance(verdict, Reason):
            to = first[Asked.REFUSED].to
            row = JournalRow(
                at.offset, to, order.digest, reason=verdict, step=self.step.name, segment=segment
            )
            return self._decided(record, row)
        to = first[Asked.ACCEPTED].to
        moves = verdict or None
        row = JournalRow(at.offset, to, order.digest, done_at=at.offset, segment=segment, moves=moves)
        return self._decided(record, row, moved(self.balances, verdict, at, rows))

    def _undo(self, record: StepRequest, row: JournalRow, move: Move, at: Position, rows: Rows) -> Decision:
        assert isinstance(record, Undo)
        undone = row._replace(
            version=at.offset,
            state=move.to,
            undone_at=at.offset,
            reason=record.reason,
            step=record.step,
            segment=record.segment,
        )
        return self._decided(record, undone, moved(self.balances, inverse(row.moves), at, rows))

    def _decided(self, record: StepRequest, row: JournalRow, balances: tuple[Put, ...] = ()) -> Decision:
        put = Put(self.journal, record.order_id, row)
        return Decision(Verdict.APPLIED, put, balances, (self._answer(record, row),))

    def _answer(self, record: StepRequest, row: JournalRow) -> Record:
        """The recorded outcome, as a record."""
        order, segment = record.order, record.segment
        if row.state is State.DONE:
            return route.send_on(self.step, order, segment)
        assert row.reason is not None and row.step is not None
        return route.send_back(self.step, order, row.reason, row.step, segment)

    def _replayed(self, row: JournalRow, at: Position, rows: Rows) -> tuple[Put, ...]:
        """The moves of exactly the record that made them, for each balance that has not seen them yet."""
        if at.offset == row.done_at:
            return moved(self.balances, row.moves or {}, at, rows, replay=True)
        if at.offset == row.undone_at:
            return moved(self.balances, inverse(row.moves), at, rows, replay=True)
        return ()
