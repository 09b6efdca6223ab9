"""The outcome of a record as a sentence."""

from saga_app import topics
from saga_app.audit.history.events import Event, StatusRow, TruncatedInbox
from saga_app.core.decider import Verdict
from saga_app.core.labels import AUTHORISED, why, why_not
from saga_app.core.order import Order
from saga_app.core.records import (
    CaptureRequested,
    DeadlinePassed,
    ForPartition,
    OrderPlaced,
    Record,
    RefundCompleted,
    RefundOpened,
    RefundRefused,
    RefundRequest,
    StepAnswered,
    StepName,
    Undo,
)
from saga_app.core.refund_rows import RefundState
from saga_app.core.refunds import AboutRefund
from saga_app.core.route import CAPTURE, is_captured_later
from saga_app.core.rows import ClosedOrder, JournalRow, OrderRow, State, Status
from saga_app.core.step import Step


def in_words(event: Event) -> str:
    """One sentence about one record and its outcome."""
    outcome = event.outcome
    if outcome is None:
        return f"{event.record.type}; what came of it cannot be told: the inbox was cut"
    if outcome.verdict is Verdict.DEAD:
        return f"{event.record.type} became a dead letter: {outcome.rejection}"
    if outcome.verdict is Verdict.SENT_ON:
        return f"{event.record.type} was in the wrong partition and was sent on"
    if outcome.decision is not None and outcome.decision.note is not None:
        return outcome.decision.note
    row = event.row
    if isinstance(event.record, ForPartition):
        return _of_retention(event.place[0], row)
    if isinstance(row, JournalRow):
        return _of_step(topics.STEPS[event.place[0]], event.record, row, outcome.verdict)
    return _of_checkout(event.record, row, outcome.verdict)


def truncated_in_words(before: TruncatedInbox) -> str:
    """Says why the history of this inbox is incomplete, and the state of the order's row."""
    state = None if before.row is None else state_of(before.row)
    return f"not all is told: {before.why}; its row there is {'none' if state is None else _word(state)}"


def state_of(row: StatusRow) -> State | Status:
    """The state of the order at a step, or its status at checkout."""
    if isinstance(row, OrderRow):
        return row.status
    if isinstance(row, ClosedOrder):
        return row.closed
    assert isinstance(row, JournalRow)
    return row.state


def _word(state: State | Status) -> str:
    """A state in the middle of a sentence."""
    return "being cancelled" if state is Status.CANCELLING else state.lower()


def _turned(row: JournalRow | OrderRow) -> str:
    """Why the order turned round, and where."""
    return f"{why(row.reason)}, at {row.step}"


def _of_retention(topic: str, row: StatusRow | None) -> str:
    if topic in topics.STEPS:
        return f"{topics.STEPS[topic].name}: evicted; only what it moved is kept, in the totals"
    return (
        "purged: its id is free" if row is None else f"closed: only that it is {_word(state_of(row))} is kept"
    )


def _of_step(step: Step, record: Record, row: JournalRow, verdict: Verdict) -> str:
    if isinstance(record, RefundRequest):
        return _of_refund(step, record, row, verdict)
    if isinstance(record, CaptureRequested) and row.outside is None:
        return f"{CAPTURE.name}: there is nothing to capture; the order goes on"
    if isinstance(record, StepAnswered) and verdict is not Verdict.APPLIED:
        return f"{step.name}: its provider says {record.outcome}, which changed nothing; it is {_word(row.state)}"
    if verdict is Verdict.REPEATED and not isinstance(record, StepAnswered):
        asked = "asked to undo" if isinstance(record, Undo) else "asked again"
        return f"{step.name}: {asked}; it is {_word(row.state)}, and the answer was sent again"
    return _as_it_is(step, row)


def _as_it_is(step: Step, row: JournalRow) -> str:
    match row.state:
        case State.DOING | State.PREVENTING | State.UNDOING | State.CAPTURING:
            return _asked(step, row)
        case State.CAPTURED:
            return CAPTURE.done
        case State.DONE if row.outside is not None and is_captured_later(row.outside.as_order):
            return AUTHORISED if step.name is StepName.PAYMENT else step.done
        case State.DONE:
            moved = ", ".join(f"{key} {amount}" for key, amount in (row.moves or {}).items())
            return f"{step.done} ({moved})" if moved else step.done
        case State.REFUSED:
            return f"{step.name} refused: {why(row.reason)}"
        case State.UNDONE:
            return f"{step.undone} ({_turned(row)})"
        case State.VOID:
            return (
                f"{step.name} was asked to undo before it was asked to act: it will not act ({_turned(row)})"
            )


def _of_refund(step: Step, record: RefundRequest, row: JournalRow, verdict: Verdict) -> str:
    """The part of a service in a refund."""
    refund = record.refund
    found = next((each for each in row.refunds if each.refund_id == refund.refund_id), None)
    if found is None:
        return f"{record.type} changed nothing"  # type: ignore[attr-defined]
    if verdict is Verdict.REPEATED:
        return f"{step.name}: asked again for refund {refund.refund_id}, and the answer was sent again"
    if found.state is RefundState.REFUSED:
        return f"{step.name} refused refund {refund.refund_id}: {why_not(found.reason)}"
    moved = ", ".join(f"{key} +{amount}" for key, amount in found.moves.items())
    done = "restocked" if found.amount is None else f"gave back {found.amount} {record.order.currency}"
    return f"refund {refund.refund_id}: {done}{f' ({moved})' if moved else ''}"


def _of_refunds(record: AboutRefund, row: OrderRow, verdict: Verdict) -> str:
    """A refund at checkout."""
    match record:
        case RefundOpened() if verdict is Verdict.APPLIED:
            return _of_opened(record, row)
        case RefundOpened():
            return f"refund {record.refund_id} was asked for again"
        case RefundCompleted() if verdict is Verdict.APPLIED:
            return f"refund {record.refund_id} completed"
        case RefundRefused() if verdict is Verdict.APPLIED:
            return f"refund {record.refund_id} refused: {why_not(record.reason)}"
    return f"{record.type} changed nothing"


def _of_opened(record: RefundOpened, row: OrderRow) -> str:
    found = next((each for each in row.refunds if each.refund_id == record.refund_id), None)
    if found is None:
        return f"{record.type} changed nothing"
    back = (
        f", {_lines(len(found.lines))} {'to restock' if found.restock else 'returned'}" if found.lines else ""
    )
    currency = Order.model_validate_json(row.order).currency
    return f"refund {found.refund_id} opened: {found.amount} {currency}{back}"


def _asked(step: Step, row: JournalRow) -> str:
    assert row.outside is not None
    provider, tries = row.outside.provider, row.outside.tries
    named = "" if row.outside.reference is None else f" ({row.outside.reference})"
    to = {
        State.DOING: "to do it",
        State.PREVENTING: "to prevent it",
        State.UNDOING: "to undo it",
        State.CAPTURING: "to capture it",
    }[row.state]
    again = f"; {tries} answers said nothing new" if tries else ""
    return f"{step.name}: {provider} is asked {to}{named}{again}"


def _of_checkout(record: Record, row: OrderRow | ClosedOrder | None, verdict: Verdict) -> str:
    if isinstance(row, ClosedOrder):
        return f"{record.type} changed nothing; it is {_word(row.status)} and closed"
    if row is None:
        return f"{record.type} changed nothing"
    match record:
        case OrderPlaced() if verdict is Verdict.APPLIED:
            order = record.order
            return f"placed: {order.amount} {order.currency}, {_lines(len(order.lines))}"
        case OrderPlaced():
            return f"placed again; it is {_word(row.status)}"
        case RefundOpened() | RefundCompleted() | RefundRefused():
            return _of_refunds(record, row, verdict)
        case DeadlinePassed() if verdict is Verdict.APPLIED and row.status is Status.COMPLETED:
            return f"its refunds had not ended in time (try {record.attempt}): asked again"
        case DeadlinePassed() if verdict is Verdict.APPLIED:
            return f"no ending in time (try {record.attempt}): {_then(row)}"
        case DeadlinePassed():
            return "a deadline that had been overtaken changed nothing"
    if verdict is Verdict.APPLIED:
        reason = f" ({_turned(row)})" if row.reason is not None else ""
        return f"{_word(row.status)}{reason}"
    return f"{record.type} changed nothing; it is {_word(row.status)}"


def _lines(number: int) -> str:
    return f"{number} line{'' if number == 1 else 's'}"


def _then(row: OrderRow) -> str:
    return "asked again" if row.reason is None else f"undone from the end ({why(row.reason)})"
