"""Checkout: starts an order, watches its deadline, cancels it, and records how it ended."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from saga_app.core import route
from saga_app.core.decider import IGNORED, Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.order import Order
from saga_app.core.records import (
    CancellationRequested,
    DeadlinePassed,
    ForPartition,
    OrderCancelled,
    OrderCompleted,
    OrderPlaced,
    Reason,
    Record,
    RetentionStarted,
    SegmentsClosed,
    SegmentsPurged,
    StepName,
)
from saga_app.core.retention.segments import Segments
from saga_app.core.rows import ClosedOrder, OrderRow, Status

#: Milliseconds until the first nudge; each later try waits twice as long, up to the longest delay.
FIRST_DELAY: Final = 30_000
LONGEST_DELAY: Final = 480_000
#: Tries before the order is given up and undone.
TRIES: Final = 5


class Heard(StrEnum):
    """What a record means to checkout."""

    PLACED = "OrderPlaced"
    COMPLETED = "OrderCompleted"
    CANCELLED = "OrderCancelled"
    CANCEL = "CancellationRequested"
    DEADLINE = "DeadlinePassed"
    LAST_DEADLINE = "DeadlinePassed, last"


class Say(StrEnum):
    """What checkout sends."""

    START = "start"
    ABORT = "abort"
    NOTHING = "-"


class Cell(NamedTuple):
    """The next status (None: no change), what is sent, and what people are told."""

    to: Status | None = None
    say: Say = Say.NOTHING
    note: str | None = None


class Dead(NamedTuple):
    """The record is set aside and nothing changes."""

    fault: Fault


UNKNOWN: Final = Dead(Fault.UNKNOWN_ORDER)
CONTRADICTION: Final = Dead(Fault.CONTRADICTION)
STAY: Final = Cell()

MACHINE: Final[Mapping[Status | None, Mapping[Heard, Cell | Dead]]] = {
    None: {
        Heard.PLACED: Cell(Status.OPEN, Say.START),
        Heard.COMPLETED: UNKNOWN,
        Heard.CANCELLED: UNKNOWN,
        Heard.CANCEL: UNKNOWN,
        Heard.DEADLINE: STAY,
        Heard.LAST_DEADLINE: STAY,
    },
    Status.OPEN: {
        Heard.PLACED: Cell(say=Say.START),
        Heard.COMPLETED: Cell(Status.COMPLETED),
        Heard.CANCELLED: Cell(Status.CANCELLED),
        Heard.CANCEL: Cell(Status.CANCELLING, Say.ABORT),
        Heard.DEADLINE: Cell(Status.OPEN, Say.START),
        Heard.LAST_DEADLINE: Cell(Status.CANCELLING, Say.ABORT),
    },
    Status.CANCELLING: {
        Heard.PLACED: Cell(say=Say.ABORT),
        Heard.COMPLETED: Cell(Status.COMPLETED, note="too late to cancel: the shipment was booked"),
        Heard.CANCELLED: Cell(Status.CANCELLED),
        Heard.CANCEL: STAY,
        Heard.DEADLINE: Cell(Status.CANCELLING, Say.ABORT),
        Heard.LAST_DEADLINE: Cell(Status.CANCELLING, Say.ABORT),
    },
    Status.COMPLETED: {
        Heard.PLACED: STAY,
        Heard.COMPLETED: STAY,
        Heard.CANCELLED: CONTRADICTION,
        Heard.CANCEL: Cell(note="too late to cancel: the order is completed"),
        Heard.DEADLINE: STAY,
        Heard.LAST_DEADLINE: STAY,
    },
    Status.CANCELLED: {
        Heard.PLACED: STAY,
        Heard.COMPLETED: CONTRADICTION,
        Heard.CANCELLED: STAY,
        Heard.CANCEL: STAY,
        Heard.DEADLINE: STAY,
        Heard.LAST_DEADLINE: STAY,
    },
}

#: What an order in this status waits for is asked again by this.
OUTCOME: Final[Mapping[Status, Say]] = {
    Status.OPEN: Say.START,
    Status.CANCELLING: Say.ABORT,
    Status.COMPLETED: Say.NOTHING,
    Status.CANCELLED: Say.NOTHING,
}


def delay(row: OrderRow) -> int:
    """Milliseconds that an order may rest, at this try, before it is nudged."""
    longest: int = min(FIRST_DELAY << min(row.tries, 10), LONGEST_DELAY)
    return longest


def due(row: OrderRow) -> int:
    """Kafka's time in milliseconds at which an order that has not ended is nudged."""
    return row.since + delay(row)


def deadline(order_id: str, row: OrderRow) -> DeadlinePassed:
    """The nudge for this try."""
    return DeadlinePassed(order_id=order_id, attempt=row.tries, last=row.tries + 1 >= TRIES)


class Checkout:
    """The fold of the checkout inbox."""

    about_orders = (OrderPlaced, CancellationRequested, DeadlinePassed, OrderCompleted, OrderCancelled)
    accepts = (*about_orders, RetentionStarted, SegmentsClosed, SegmentsPurged)
    journal = "orders"
    balances = None
    segments = Segments(journal)

    def decide(self, record: Record, at: Position, rows: Rows) -> Decision:
        """See `Decider.decide`; the replay rule stands in `docs/explanation/engine.md`."""
        if isinstance(record, ForPartition):
            return self.segments.decide(record, at, rows)
        assert isinstance(record, self.about_orders)
        row = rows.order(record.order_id)
        if _is_settled(row, at, rows):
            return IGNORED
        if row is not None:
            self._check(record, at, row)
            if isinstance(row, ClosedOrder):
                return _after_all(record, row)
            if row.version >= at.offset:
                again = repeated(_say(OUTCOME[row.status], row))
                return again._replace(others=self._named_again(row, record, at, rows))
            if isinstance(record, DeadlinePassed) and record.attempt != row.tries:
                return IGNORED
        cell = MACHINE[row.status if row else None][heard(record)]
        if isinstance(cell, Dead):
            raise Rejected(cell.fault, _why(cell.fault, record, row))
        if row is None:
            return self._place(record, at, rows) if isinstance(record, OrderPlaced) else IGNORED
        if cell.to is None:
            verdict = Verdict.IGNORED if cell.note or cell.say is Say.NOTHING else Verdict.REPEATED
            return Decision(verdict, sends=_say(cell.say, row), note=cell.note)
        changed = _changed(row, record, cell.to, at)
        put = Put(self.journal, record.order_id, changed)
        return Decision(Verdict.APPLIED, put, sends=_say(cell.say, changed), note=cell.note)

    def _place(self, record: OrderPlaced, at: Position, rows: Rows) -> Decision:
        order = record.order
        segment, named = self.segments.enter(order.order_id, at, rows)
        row = OrderRow(
            at.offset, Status.OPEN, at.offset, tries=0, since=at.time, order=order.canonical, segment=segment
        )
        put = Put(self.journal, order.order_id, row)
        return Decision(Verdict.APPLIED, put, sends=(route.start(order, segment),), others=named)

    def _named_again(self, row: OrderRow, record: Record, at: Position, rows: Rows) -> tuple[Put, ...]:
        """The row that names the order in its segment, if that is missing: of one append a part may have been lost."""
        if row.placed_at != at.offset or row.segment is None or not isinstance(record, OrderPlaced):
            return ()
        return self.segments.enter(record.order_id, at, rows)[1]

    def _check(self, record: Record, at: Position, row: OrderRow | ClosedOrder) -> None:
        """What needs no decision comes first, on a replay too, so that a dead letter is sent again."""
        if isinstance(record, OrderPlaced):
            if not _is_same(record.order, row):
                raise Rejected(
                    Fault.DIFFERENT_CONTENT, f"order {record.order_id} was placed before with another content"
                )
        elif isinstance(record, (OrderCompleted, OrderCancelled)) and record.segment not in (
            None,
            row.segment,
        ):
            raise Rejected(Fault.UNKNOWN_ORDER, f"{record.type} for an earlier order {record.order_id}")
        elif (
            isinstance(row, OrderRow) and not isinstance(record, DeadlinePassed) and at.offset < row.placed_at
        ):
            raise Rejected(Fault.UNKNOWN_ORDER, _why(Fault.UNKNOWN_ORDER, record, None))


def _is_settled(row: OrderRow | ClosedOrder | None, at: Position, rows: Rows) -> bool:
    """True if this is a replay of a record about an order that may be evicted since: all of it was done before that."""
    low_watermark = rows.low_watermark(at.partition)
    if low_watermark is None or at.offset >= low_watermark.version:
        return False
    return not isinstance(row, OrderRow) or at.offset < row.placed_at


def _is_same(order: Order, row: OrderRow | ClosedOrder) -> bool:
    return order.digest == row.content if isinstance(row, ClosedOrder) else order.canonical == row.order


def _after_all(record: Record, row: ClosedOrder) -> Decision:
    """A record that comes for an evicted order finds it as it ended."""
    cell = MACHINE[row.status][heard(record)]
    if isinstance(cell, Dead):
        raise Rejected(cell.fault, _why(cell.fault, record, row))
    return Decision(Verdict.IGNORED, note=cell.note)


_HEARD: Final = {record: Heard(record.__name__) for record in Checkout.about_orders}


def heard(record: Record) -> Heard:
    """The column of the machine that this record selects."""
    if isinstance(record, DeadlinePassed) and record.last:
        return Heard.LAST_DEADLINE
    return _HEARD[type(record)]  # type: ignore[index]


def _changed(row: OrderRow, record: Record, to: Status, at: Position) -> OrderRow:
    changed = partial(row._replace, version=at.offset, status=to, since=at.time)
    match record:
        case OrderCompleted():
            return changed(ended_at=at.time, reason=None, step=None)
        case OrderCancelled():
            return changed(ended_at=at.time, reason=record.reason, step=record.step)
        case CancellationRequested():
            return changed(reason=Reason.REQUESTED, step=StepName.CHECKOUT)
        case DeadlinePassed(last=True) if row.reason is None:
            return changed(tries=row.tries + 1, reason=Reason.TIMED_OUT, step=StepName.CHECKOUT)
        case _:
            return changed(tries=row.tries + 1)


def _say(say: Say, row: OrderRow) -> tuple[Record, ...]:
    match say:
        case Say.START:
            return (route.start(Order.model_validate_json(row.order), row.segment),)
        case Say.ABORT:
            assert row.reason is not None
            return (route.abort(Order.model_validate_json(row.order), row.reason, row.segment),)
        case Say.NOTHING:
            return ()


def _why(fault: Fault, record: Record, row: OrderRow | ClosedOrder | None) -> str:
    assert isinstance(record, Checkout.about_orders)
    if fault is Fault.UNKNOWN_ORDER or row is None:
        return f"{record.type} for order {record.order_id}, which was not placed before"
    return f"{record.type} for order {record.order_id}, which is {row.status}; run `saga doctor` and check the topics"
