"""Checkout: starts an order, watches its deadline, asks for the compensations if it is cancelled, and records its end.

A cancellation that comes before its order is kept, and meets the order when it comes. No step was asked for anything
then, so checkout itself tells that the order is cancelled; only a payment that the customer has begun is given up, by
the compensations of the route.

Guards come first, each with its one sentence: they deal with everything that needs no decision. Then the table alone
decides: `MACHINE[status][input]` is the next status and the output.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Final, Literal, TypeGuard, get_args

from pydantic import ValidationError

from saga_app.core import outcome, patience, payment, refunds, route
from saga_app.core.decider import IGNORED, Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.machine import DeadLettered, Transition
from saga_app.core.moves import policy_changed
from saga_app.core.order import Order, as_placed, digest, routed
from saga_app.core.records import (
    CancellationRequested,
    DeadlinePassed,
    ForPartition,
    OrderCancelled,
    OrderCompleted,
    OrderPlaced,
    PolicyChanged,
    Reason,
    Record,
    RefundOpened,
    RetentionStarted,
    SegmentsClosed,
    SegmentsPurged,
    StepName,
)
from saga_app.core.refunds import REFUND_RECORDS, AboutRefund
from saga_app.core.retention.rows import EarlyCancellation
from saga_app.core.retention.segments import Segments
from saga_app.core.row_keys import cancellation_key, parts_of, policy_key
from saga_app.core.rows import OPEN_STATUSES, ClosedOrder, JournalRow, OrderRow, State, Status
from saga_app.core.step_names import VARIABLE

AboutOrder = OrderPlaced | CancellationRequested | DeadlinePassed | OrderCompleted | OrderCancelled
KnownOrder = OrderRow | ClosedOrder


class OrderInput(StrEnum):
    """A record as the machine sees it."""

    PLACED = "OrderPlaced"
    COMPLETED = "OrderCompleted"
    CANCELLED = "OrderCancelled"
    CANCEL = "CancellationRequested"
    DEADLINE = "DeadlinePassed"
    LAST_DEADLINE = "DeadlinePassed, last"


class OrderOutput(StrEnum):
    """The request that checkout sends: to the first step forwards, or to the last step for compensation.

    No step is asked to compensate an order of which none was asked to act: it is told cancelled at once.
    """

    START = "start"
    ABORT = "abort"
    NOTHING = ""


UNKNOWN: Final = DeadLettered(Fault.UNKNOWN_ORDER, "which was not placed before")
#: The state of an order that is not placed yet, and cancelled already.
VOID: Final = State.VOID
OrderState = Status | Literal[State.VOID]
CONTRADICTION: Final = DeadLettered(
    Fault.CONTRADICTION, "which is {status}; run `saga doctor` and check the topics"
)
CLOSED: Final = DeadLettered(
    Fault.CLOSED_ORDER,
    "whose rows have left the tables; give money back by a deposit, and goods by a delivery",
)
STAY: Final = Transition(None, OrderOutput.NOTHING)

#: Without a next status the row stays as it is. A next status writes the row, even if the status is the same.
MACHINE: Final[
    Mapping[
        OrderState | None,
        Mapping[OrderInput, Transition[OrderState | None, OrderOutput] | DeadLettered],
    ]
] = {
    None: {
        OrderInput.PLACED: Transition(Status.OPEN, OrderOutput.START),
        OrderInput.COMPLETED: UNKNOWN,
        OrderInput.CANCELLED: UNKNOWN,
        OrderInput.CANCEL: Transition(
            VOID, OrderOutput.NOTHING, "the order is not here yet: it will be cancelled when it comes"
        ),
        OrderInput.DEADLINE: STAY,
        OrderInput.LAST_DEADLINE: STAY,
    },
    VOID: {
        OrderInput.PLACED: Transition(
            Status.CANCELLING, OrderOutput.ABORT, "it was cancelled before it was placed"
        ),
        OrderInput.COMPLETED: UNKNOWN,
        OrderInput.CANCELLED: UNKNOWN,
        OrderInput.CANCEL: STAY,
        OrderInput.DEADLINE: STAY,
        OrderInput.LAST_DEADLINE: STAY,
    },
    Status.OPEN: {
        OrderInput.PLACED: Transition(None, OrderOutput.START),
        OrderInput.COMPLETED: Transition(Status.COMPLETED, OrderOutput.NOTHING),
        OrderInput.CANCELLED: Transition(Status.CANCELLED, OrderOutput.NOTHING),
        OrderInput.CANCEL: Transition(Status.CANCELLING, OrderOutput.ABORT),
        OrderInput.DEADLINE: Transition(Status.OPEN, OrderOutput.START),
        OrderInput.LAST_DEADLINE: Transition(Status.CANCELLING, OrderOutput.ABORT),
    },
    Status.CANCELLING: {
        OrderInput.PLACED: Transition(None, OrderOutput.ABORT),
        OrderInput.COMPLETED: Transition(
            Status.COMPLETED, OrderOutput.NOTHING, "too late to cancel: the shipment was booked"
        ),
        OrderInput.CANCELLED: Transition(Status.CANCELLED, OrderOutput.NOTHING),
        OrderInput.CANCEL: STAY,
        OrderInput.DEADLINE: Transition(Status.CANCELLING, OrderOutput.ABORT),
        OrderInput.LAST_DEADLINE: Transition(Status.CANCELLING, OrderOutput.ABORT),
    },
    Status.COMPLETED: {
        OrderInput.PLACED: STAY,
        OrderInput.COMPLETED: STAY,
        OrderInput.CANCELLED: CONTRADICTION,
        OrderInput.CANCEL: Transition(
            None, OrderOutput.NOTHING, "too late to cancel: the order is completed"
        ),
        OrderInput.DEADLINE: STAY,
        OrderInput.LAST_DEADLINE: STAY,
    },
    Status.CANCELLED: {
        OrderInput.PLACED: STAY,
        OrderInput.COMPLETED: CONTRADICTION,
        OrderInput.CANCELLED: STAY,
        OrderInput.CANCEL: STAY,
        OrderInput.DEADLINE: STAY,
        OrderInput.LAST_DEADLINE: STAY,
    },
}

SEGMENTS: Final = Segments("orders")
#: A policy that names these brings back what holds without a policy.
BUILT_IN: Final = tuple(step.name for step in route.DEFAULT)


def evicted_since(row: KnownOrder | None, at: Position, rows: Rows) -> bool:
    """True on a replay if the order may be evicted since: all that the record asks for was done before."""
    low_watermark = rows.low_watermark(at.partition)
    if low_watermark is None or at.offset >= low_watermark.version:
        return False
    return not isinstance(row, OrderRow) or at.offset < row.placed_at


def other_content(record: AboutOrder, row: KnownOrder, at: Position, rows: Rows) -> None:
    """A known order id with another content is a dead letter."""
    if not isinstance(record, OrderPlaced):
        return
    order = record.order
    if (
        order.digest != row.content
        if isinstance(row, ClosedOrder)
        else order.canonical != as_placed(row.order)
    ):
        raise Rejected(
            Fault.DIFFERENT_CONTENT, f"order {record.order_id} was placed before with another content"
        )


def earlier_order(record: AboutOrder | AboutRefund, row: KnownOrder, at: Position, rows: Rows) -> None:
    """An ending that names another segment is about an earlier order: a dead letter."""
    if getattr(record, "segment", None) not in (None, row.segment):
        raise Rejected(Fault.UNKNOWN_ORDER, f"{record.type} for an earlier order {record.order_id}")


def before_placing(record: AboutOrder, row: KnownOrder, at: Position, rows: Rows) -> Decision | None:
    """On a replay, an ending that stands before the `OrderPlaced` of its order is a dead letter again.

    A cancellation that stands there has met the order already.
    """
    if not isinstance(row, OrderRow) or at.offset >= row.placed_at:
        return None
    if isinstance(record, CancellationRequested):
        return repeated()
    if isinstance(record, (OrderCompleted, OrderCancelled)):
        raise _rejected(UNKNOWN, record, row)
    return None


def replayed(record: AboutOrder, row: KnownOrder, at: Position, rows: Rows) -> Decision | None:
    """A record that was decided before sends the recorded outcome again."""
    if not isinstance(row, OrderRow) or row.version < at.offset:
        return None
    if isinstance(record, DeadlinePassed) and row.has_open_refund:
        return repeated(refunds.requests(row))
    repeat = MACHINE[row.status][OrderInput.PLACED]
    assert isinstance(repeat, Transition)
    named: tuple[Put, ...] = ()
    if row.placed_at == at.offset and row.segment is not None and isinstance(record, OrderPlaced):
        # Of one append a part may have been lost: the row that names the order is written again if it is missing.
        _, named = SEGMENTS.enter(record.order_id, at, rows)
    if row.placed_at == at.offset and isinstance(record, OrderPlaced):
        named = (*_met(record.order_id, at, rows), *named)
    again = outcome.of_row(record.order_id, row) if row.ending.version == at.offset else ()
    return repeated(_sends(repeat.output, record, row))._replace(others=named, outcomes=again)


def stale_deadline(record: AboutOrder, row: KnownOrder, at: Position, rows: Rows) -> Decision | None:
    """A deadline of another try than the present one is ignored."""
    if isinstance(record, DeadlinePassed) and isinstance(row, OrderRow) and record.attempt != row.tries:
        return IGNORED
    return None


#: In this sequence, for an order that has a row; the first that raises or returns a decision ends it.
GUARDS: Final[tuple[Callable[[AboutOrder, KnownOrder, Position, Rows], Decision | None], ...]] = (
    other_content,
    before_placing,
    earlier_order,
    replayed,
    stale_deadline,
)


class Checkout:
    """The fold of the checkout inbox."""

    accepts = (
        *get_args(AboutOrder),
        *REFUND_RECORDS,
        PolicyChanged,
        RetentionStarted,
        SegmentsClosed,
        SegmentsPurged,
    )
    journal = SEGMENTS.journal
    balances = None

    def decide(self, record: Record, at: Position, rows: Rows) -> Decision:
        """See `Decider.decide`; the replay rule stands in `docs/explanation/engine.md`."""
        if isinstance(record, PolicyChanged):
            return _policy(record, at, rows)
        if not _is_about_order(record):
            if isinstance(record, REFUND_RECORDS):
                return _about_refund(record, at, rows)
            assert isinstance(record, ForPartition)
            return SEGMENTS.decide(record, at, rows)
        row = rows.order(record.order_id)
        if evicted_since(row, at, rows):
            return IGNORED
        if row is not None:
            for guard in GUARDS:
                if (decision := guard(record, row, at, rows)) is not None:
                    return decision
        return _decided(record, row, at, rows)


def _about_refund(record: AboutRefund, at: Position, rows: Rows) -> Decision:
    """A record about a refund, which needs an order in the tables."""
    row = rows.order(record.order_id)
    if evicted_since(row, at, rows):
        return IGNORED
    if row is None:
        raise _rejected(UNKNOWN, record, row)
    earlier_order(record, row, at, rows)
    if isinstance(row, OrderRow):
        if at.offset < row.placed_at:
            raise _rejected(UNKNOWN, record, row)
        return refunds.decide(record, row, at)
    if row.version >= at.offset or not isinstance(record, RefundOpened):
        # All that came before an order was closed was settled then, and its refunds had ended.
        return IGNORED
    raise _rejected(CLOSED, record, row)


def _decided(record: AboutOrder, row: KnownOrder | None, at: Position, rows: Rows) -> Decision:
    """The transition of the table, as rows and records."""
    # For each other model than its own, `isinstance` runs Python code of pydantic.
    if type(record) is DeadlinePassed and isinstance(row, OrderRow) and row.has_open_refund:
        return refunds.asked_again(record.order_id, row, at)
    # Nothing else depends on it.
    is_asked = row is None and isinstance(record, (OrderPlaced, CancellationRequested))
    early = _early(record.order_id, at, rows) if is_asked else None
    if early is not None and early.version >= at.offset and isinstance(record, CancellationRequested):
        return _kept_again(record, early, at, rows)
    status: OrderState | None = None if row is None else row.status
    if is_waiting(early, at):
        status = VOID
    transition = MACHINE[status][order_input(record)]
    if isinstance(transition, DeadLettered):
        raise _rejected(transition, record, row)
    to, output, note = transition
    if to is State.VOID:
        kept, named = _kept(record, at, rows)
        return Decision(Verdict.APPLIED, kept, note=note, others=named)
    if to is None:
        verdict = Verdict.IGNORED if output is OrderOutput.NOTHING else Verdict.REPEATED
        return Decision(verdict, sends=_sends(output, record, row), note=note)
    assert not isinstance(row, ClosedOrder)
    changed, named = _placed(record, to, at, rows) if row is None else (_changed(row, record, to, at), ())
    put = Put(SEGMENTS.journal, record.order_id, changed)
    return Decision(
        Verdict.APPLIED,
        put,
        sends=_sends(output, record, changed),
        note=note,
        others=named,
        outcomes=outcome.of_row(record.order_id, changed),
    )


_INPUTS: Final = {record: OrderInput(record.__name__) for record in get_args(AboutOrder)}


def _is_about_order(record: Record) -> TypeGuard[AboutOrder]:
    # For each other model than its own, `isinstance` runs Python code of pydantic.
    return type(record) in _INPUTS


def order_input(record: AboutOrder) -> OrderInput:
    """The column of the machine that this record selects."""
    if isinstance(record, DeadlinePassed) and record.last:
        return OrderInput.LAST_DEADLINE
    return _INPUTS[type(record)]


def _placed(record: AboutOrder, to: Status, at: Position, rows: Rows) -> tuple[OrderRow, tuple[Put, ...]]:
    """The first row of an order, and the row that names it in its segment."""
    assert isinstance(record, OrderPlaced)
    order = routed(record.order, route_in_force(rows))
    if payment.is_paid_outside(order) and order.route is not None and StepName.PAYMENT not in order.route:
        raise Rejected(Fault.INVALID, "it names a payment, but the route in force has no payment")
    segment, named = SEGMENTS.enter(order.order_id, at, rows)
    # From here on the row says it: a policy that comes later changes nothing for this order.
    patient = patience_in_force(rows) if order.patience is None else order.patience
    row = OrderRow(at.version, to, at.offset, 0, at.time, order.canonical, segment=segment, patience=patient)
    if to is Status.OPEN:
        return row, named
    turned = row._replace(reason=Reason.REQUESTED, step=StepName.CHECKOUT, cancelled_first=True)
    return turned, (*_met(order.order_id, at, rows), *named)


def _early(order_id: str, at: Position, rows: Rows) -> EarlyCancellation | None:
    """The cancellation that came before this order; none if it is evicted, wherever its row still lies."""
    row = rows.entry(cancellation_key(order_id))
    if row is None:
        return None
    assert isinstance(row, EarlyCancellation)
    low_watermark = rows.low_watermark(at.partition)
    if row.segment is None or low_watermark is None:
        return row
    return None if parts_of(row.segment)[1] < low_watermark.evicted_below else row


def is_waiting(early: EarlyCancellation | None, at: Position) -> bool:
    """True if a cancellation waits for its order, or met it at this offset."""
    return early is not None and early.met_at in (None, at.offset)


def _kept(record: AboutOrder, at: Position, rows: Rows) -> tuple[Put, tuple[Put, ...]]:
    """The row of a cancellation that comes before its order, and the row that names it in its segment."""
    known = _early(record.order_id, at, rows)
    segment, named = SEGMENTS.enter(record.order_id, at, rows, cancelled=True)
    if known is not None and known.segment is None:
        # It met an order before segments began. Such a row is never evicted, so an old disk cannot bring it back.
        segment, named = None, ()
    row = EarlyCancellation(at.version, at.time, segment)
    return Put(SEGMENTS.journal, cancellation_key(record.order_id), row), named


def _kept_again(
    record: CancellationRequested, early: EarlyCancellation, at: Position, rows: Rows
) -> Decision:
    """On a replay: of one append a part may have been lost, so the row that names it is written again if missing."""
    if early.version != at.offset or early.segment is None:
        return repeated()
    return repeated()._replace(others=_kept(record, at, rows)[1])


def _met(order_id: str, at: Position, rows: Rows) -> tuple[Put, ...]:
    """The early cancellation of an order that comes at this offset: it cancels no later order with the same id."""
    early = _early(order_id, at, rows)
    if early is None or early.met_at is not None or early.version > at.offset:
        return ()
    met = early._replace(version=at.version, met_at=at.offset)
    return (Put(SEGMENTS.journal, cancellation_key(order_id), met),)


def _changed(row: OrderRow, record: AboutOrder, to: Status, at: Position) -> OrderRow:
    changed = partial(row._replace, version=at.version, status=to, since=at.time)
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


def _sends(output: OrderOutput, record: AboutOrder, row: KnownOrder | None) -> tuple[Record, ...]:
    if output is OrderOutput.NOTHING:
        return ()
    assert isinstance(row, OrderRow)
    order = _order(record, row)
    if output is OrderOutput.START:
        return (route.start(order, row.segment),)
    assert row.reason is not None
    if row.cancelled_first and order.payment_reference is None:
        return (route.cancelled(order, row.reason, row.segment),)
    return (route.abort(order, row.reason, row.segment),)


def _order(record: AboutOrder, row: OrderRow) -> Order:
    """The order in its row, which is parsed only if the record has not the same one."""
    if isinstance(record, OrderPlaced) and record.order.canonical == row.order:
        return record.order
    try:
        return Order.model_validate_json(row.order)
    except ValidationError as error:
        raise Rejected(
            Fault.INVALID,
            f"order {record.order_id} passes a step that this worker does not know; is its module in {VARIABLE}?",
        ) from error


def _policy(record: PolicyChanged, at: Position, rows: Rows) -> Decision:
    """New parameters for the orders that are placed from now on; one that it does not name stays as it is."""
    if record.route is None and record.patience is None:
        raise Rejected(
            Fault.INVALID,
            "the checkout policy has a route or a patience, and no parameter of another service",
        )
    try:
        if record.route is not None:
            route.check(record.route)
    except ValueError as error:
        raise Rejected(Fault.INVALID, str(error)) from None
    parameter = f"patience {record.patience}" if record.route is None else ",".join(record.route)
    before = rows.policy()
    row = JournalRow(
        at.version,
        State.DONE,
        digest(parameter.encode()),
        done_at=at.offset,
        route=before.route if record.route is None and before is not None else record.route,
        patience=before.patience if record.patience is None and before is not None else record.patience,
    )
    return policy_changed(SEGMENTS.journal, policy_key(record.policy_id), row, rows)


def route_in_force(rows: Rows) -> tuple[StepName, ...] | None:
    """The route of orders that are placed now; None: the steps that are built in."""
    policy = rows.policy()
    if policy is None or policy.route is None or policy.route == BUILT_IN:
        return None
    return tuple(map(StepName, policy.route))


def patience_in_force(rows: Rows) -> int | None:
    """Seconds that orders are patient which are placed now and do not say it; None: the default."""
    policy = rows.policy()
    return None if policy is None else policy.patience


def _rejected(dead: DeadLettered, record: AboutOrder | AboutRefund, row: KnownOrder | None) -> Rejected:
    detail = dead.detail.format(status=None if row is None else row.status)
    return Rejected(dead.fault, f"{record.type} for order {record.order_id}, {detail}")


def delay(row: OrderRow) -> int:
    """Milliseconds that an order may rest, at this try, before it is nudged."""
    if row.status is not Status.OPEN:
        return patience.compensation_delay(row.tries)
    return patience.delay(row.patience, row.tries)


def due(row: OrderRow) -> int:
    """Kafka's time in milliseconds at which an order that has not ended is nudged."""
    return row.since + delay(row)


def deadline(order_id: str, row: OrderRow) -> DeadlinePassed:
    """The nudge for this try."""
    last = row.status in OPEN_STATUSES and patience.is_last(row.patience, row.tries)
    return DeadlinePassed(order_id=order_id, attempt=row.tries, last=last)
