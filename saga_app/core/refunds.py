"""Refunds at checkout: a small saga of a completed order, through payment and inventory to its own end.

All checks are made here, in the row of the order: it has what was paid and taken, and every refund before. So of two
refunds at once the second one knows the first, whichever partitions their money and stock are in. Payment comes next
and may refuse; inventory restocks last and never does. So a refund that is refused has done nothing.

Nothing is compensated: a refund goes forwards only, and the deadlines of its order ask again until it has ended.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, get_args

from saga_app.core import money
from saga_app.core.decider import IGNORED, Decision, Position, Put, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.fields import MOST_LINES
from saga_app.core.labels import why_not
from saga_app.core.machine import Transition
from saga_app.core.order import Line, Order
from saga_app.core.payment import is_paid_outside
from saga_app.core.records import (
    Record,
    RefundCompleted,
    RefundOpened,
    RefundReason,
    RefundRefused,
    RepaymentRequested,
    StepName,
)
from saga_app.core.refund import MOST_REFUNDS, Refund, opened_content
from saga_app.core.refund_rows import OrderRefund, RefundStatus
from saga_app.core.route import DEFAULT_NAMES
from saga_app.core.rows import OrderRow, Status

AboutRefund = RefundOpened | RefundCompleted | RefundRefused
REFUND_RECORDS: Final = get_args(AboutRefund)


class RefundInput(StrEnum):
    """A record about a refund as the machine sees it; the checks are made only if the refund is not known yet."""

    ACCEPTED = "RefundOpened, accepted"
    REFUSED = "RefundOpened, refused"
    AGAIN = "RefundOpened again"
    COMPLETED = "RefundCompleted"
    DECLINED = "RefundRefused"
    DEADLINE = "DeadlinePassed"


class RefundOutput(StrEnum):
    """The request that checkout sends for a refund, or its ending, for those who wait for it."""

    START = "ask payment"
    TELL = "tell the ending"
    NOTHING = ""


RefundTransition = Transition[RefundStatus | None, RefundOutput]
STAY: Final = RefundTransition(None, RefundOutput.NOTHING)
_START: Final = RefundTransition(None, RefundOutput.START)
_ENDED: Final[Mapping[RefundInput, RefundTransition]] = {
    RefundInput.AGAIN: RefundTransition(None, RefundOutput.TELL),
    RefundInput.COMPLETED: STAY,
    RefundInput.DECLINED: STAY,
    RefundInput.DEADLINE: STAY,
}

#: Without a next status the refund stays as it is.
MACHINE: Final[Mapping[RefundStatus | None, Mapping[RefundInput, RefundTransition]]] = {
    None: {
        RefundInput.ACCEPTED: RefundTransition(RefundStatus.OPEN, RefundOutput.START),
        RefundInput.REFUSED: RefundTransition(RefundStatus.REFUSED, RefundOutput.TELL),
    },
    RefundStatus.OPEN: {
        RefundInput.AGAIN: _START,
        RefundInput.COMPLETED: RefundTransition(RefundStatus.COMPLETED, RefundOutput.NOTHING),
        RefundInput.DECLINED: RefundTransition(RefundStatus.REFUSED, RefundOutput.NOTHING),
        RefundInput.DEADLINE: _START,
    },
    RefundStatus.COMPLETED: _ENDED,
    RefundStatus.REFUSED: _ENDED,
}


def decide(record: AboutRefund, row: OrderRow, at: Position) -> Decision:
    """A record about a refund of an order that has this row."""
    known = next((each for each in row.refunds if each.refund_id == record.refund_id), None)
    if isinstance(record, RefundOpened):
        return _opened(record, known, row, at)
    if known is None or at.offset < known.opened_at:
        raise Rejected(
            Fault.UNKNOWN_ORDER, f"{record.type} for refund {record.refund_id}, which was not opened before"
        )
    if row.version >= at.offset:
        return repeated()
    kind = RefundInput.COMPLETED if isinstance(record, RefundCompleted) else RefundInput.DECLINED
    to = MACHINE[known.status][kind].to
    if to is None:
        if {kind, known.status} in _CONTRADICTIONS:
            raise Rejected(
                Fault.CONTRADICTION,
                f"{record.type} for refund {record.refund_id}, which is {known.status}; run `saga doctor`",
            )
        return IGNORED
    reason = record.reason if isinstance(record, RefundRefused) else None
    ended = known._replace(status=to, ended_at=at.time, reason=reason)
    return _changed(row, (ended if each is known else each for each in row.refunds), record.order_id, at)


#: An ending that is told after the other one: something is broken.
_CONTRADICTIONS: Final = (
    {RefundInput.COMPLETED, RefundStatus.REFUSED},
    {RefundInput.DECLINED, RefundStatus.COMPLETED},
)


def asked_again(order_id: str, row: OrderRow, at: Position) -> Decision:
    """A deadline of an order with open refunds has passed: they are asked for again, as often as it takes."""
    changed = row._replace(version=at.version, tries=row.tries + 1, since=at.time)
    return Decision(Verdict.APPLIED, Put("orders", order_id, changed), sends=requests(row))


def requests(row: OrderRow) -> tuple[Record, ...]:
    """The request of each refund of this order that is under way."""
    order = Order.model_validate_json(row.order)
    return tuple(
        _request(each, order, row.segment)
        for each in row.refunds
        if MACHINE[each.status][RefundInput.DEADLINE].output is RefundOutput.START
    )


def _opened(record: RefundOpened, known: OrderRefund | None, row: OrderRow, at: Position) -> Decision:
    order = Order.model_validate_json(row.order)
    amount = _normal(record, order.currency)
    content = opened_content(amount, record.returned, restock=record.restock)
    if known is not None:
        if known.content != content:
            raise Rejected(
                Fault.DIFFERENT_CONTENT,
                f"refund {record.refund_id} of order {record.order_id} is known with another content",
            )
        return repeated(_sends(MACHINE[known.status][RefundInput.AGAIN].output, known, order, row.segment))
    if len(row.refunds) >= MOST_REFUNDS:
        raise Rejected(Fault.INVALID, f"an order has at most {MOST_REFUNDS} refunds")
    found = accepted(record, amount, order, row)
    is_refused = isinstance(found, RefundReason)
    to, output, _ = MACHINE[None][RefundInput.REFUSED if is_refused else RefundInput.ACCEPTED]
    assert to is not None
    entry = OrderRefund(record.refund_id, to, content, at.offset, at.time, amount)
    note = None
    if isinstance(found, RefundReason):
        note = f"refund {record.refund_id} is refused: {why_not(found)}"
        entry = entry._replace(ended_at=at.time, reason=found)
    else:
        entry = entry._replace(amount=found.amount, lines=found.lines, restock=found.restock)
    decision = _changed(row, (*row.refunds, entry), record.order_id, at)
    return decision._replace(sends=_sends(output, entry, order, row.segment), note=note)


def accepted(
    record: RefundOpened, amount: Decimal | None, order: Order, row: OrderRow
) -> Refund | RefundReason:
    """The refund, with all that is left where nothing is named; or the reason to refuse it."""
    if row.status is not Status.COMPLETED:
        return RefundReason.NOT_COMPLETED
    names = order.route or DEFAULT_NAMES
    if StepName.PAYMENT not in names or (record.restock and StepName.INVENTORY not in names):
        return RefundReason.NOT_ON_ROUTE
    if is_paid_outside(order):
        return RefundReason.PAID_OUTSIDE
    paid, taken = left(order, row.refunds)
    if amount is None:
        amount, units = paid, taken
        if not amount and not (units and record.restock):
            return RefundReason.NOTHING_LEFT
    else:
        units = {line.sku: line.quantity for line in record.returned}
    if amount > paid:
        return RefundReason.MORE_THAN_PAID
    if any(quantity > taken.get(sku, 0) for sku, quantity in units.items()):
        return RefundReason.MORE_THAN_TAKEN
    if sum(len(each.lines) for each in row.refunds) + len(units) > MOST_LINES:
        return RefundReason.TOO_MANY_LINES
    lines = tuple(Line.of(sku=sku, quantity=quantity) for sku, quantity in units.items())
    return Refund.of(refund_id=record.refund_id, amount=amount, lines=lines, restock=record.restock)


def left(order: Order, refunds: Iterable[OrderRefund]) -> tuple[Decimal, dict[str, int]]:
    """The money that was paid and not given back, and the units that did not come back, by SKU."""
    paid, taken = order.amount, {line.sku: line.quantity for line in order.lines}
    for each in refunds:
        if each.counts:
            paid -= each.amount or 0
            for line in each.lines:
                taken[line.sku] -= line.quantity
    return paid, {sku: quantity for sku, quantity in taken.items() if quantity}


def _normal(record: RefundOpened, currency: str) -> Decimal | None:
    if record.amount is None:
        return None
    try:
        return money.normal(record.amount, currency)
    except ValueError as error:
        raise Rejected(Fault.INVALID, str(error)) from None


def _changed(row: OrderRow, refunds: Iterable[OrderRefund], order_id: str, at: Position) -> Decision:
    """The order's row with these refunds; the deadline of the order starts anew if it has ended."""
    changed = row._replace(version=at.version, refunds=tuple(refunds))
    if row.ended_at is not None:
        changed = changed._replace(
            since=at.time,
            tries=row.tries if row.has_open_refund else 0,
            ended_version=row.version if row.ended_version is None else row.ended_version,
        )
    return Decision(Verdict.APPLIED, Put("orders", order_id, changed))


def _sends(
    output: RefundOutput, refund: OrderRefund, order: Order, segment: str | None
) -> tuple[Record, ...]:
    if output is RefundOutput.START:
        return (_request(refund, order, segment),)
    assert output is RefundOutput.TELL
    told = {"order_id": order.order_id, "refund_id": refund.refund_id, "segment": segment}
    if refund.reason is None:
        return (RefundCompleted(**told),)  # type: ignore[arg-type]
    return (RefundRefused(**told, reason=refund.reason),)  # type: ignore[arg-type]


def _request(refund: OrderRefund, order: Order, segment: str | None) -> Record:
    return RepaymentRequested.of(
        type="RepaymentRequested", order=order, segment=segment, refund=refund.refund
    )
