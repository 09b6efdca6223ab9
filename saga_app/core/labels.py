"""Words for people: each step, its action and its compensation, and the reasons why an order turned round."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from saga_app.core.errors import Fault
from saga_app.core.records import Reason, RefundReason, StepName
from saga_app.core.route import NAMED
from saga_app.core.rows import OPEN_STATUSES, State, Status
from saga_app.core.step import Step


class StepWords(NamedTuple):
    """The object of a step, and its action and compensation: as they are asked for, and when they are done."""

    thing: str
    do: str
    done: str
    undo: str
    undone: str


#: Each step has its own verbs; a step that is not known here has plain ones.
_ASKED: Final[Mapping[str, tuple[str, str, str]]] = {
    StepName.PAYMENT: ("the payment", "take the payment", "refund the payment"),
    StepName.INVENTORY: ("the stock", "reserve the stock", "release the stock"),
    StepName.SHIPPING: ("the shipment", "book the shipment", "call the shipment off"),
    StepName.CAPTURE: ("the capture", "capture the payment", "undo the capture"),
}


def _words(step: Step) -> StepWords:
    name = step.name.value
    thing, do, undo = _ASKED.get(
        name, (f"the {name} step", f"decide the {name} step", f"undo the {name} step")
    )
    return StepWords(thing, do, step.done, undo, step.undone)


STEPS: Final[Mapping[str, StepWords]] = {step.name: _words(step) for step in NAMED}
#: A payment that is done, and captured later.
AUTHORISED: Final = "authorised"
#: The state of an order that was placed and that no worker has taken. No row has it.
PLACED: Final = "PLACED"
#: The states of lists and counts: those of rows, and of orders that no worker has taken. Open ones have not ended.
STATES: Final = (PLACED, *(status.value for status in Status))
OPEN: Final = (PLACED, *sorted(status.value for status in OPEN_STATUSES))
#: The states of orders in words for people.
STATE_WORDS: Final[Mapping[str, str]] = {
    PLACED: "Placed",
    Status.OPEN: "Open",
    Status.CANCELLING: "Being cancelled",
    Status.COMPLETED: "Completed",
    Status.CANCELLED: "Cancelled",
}
#: The shape of each state, so that it is never told by colour alone. None: nothing is recorded yet.
SHAPES: Final[Mapping[str | None, str]] = {
    PLACED: "◌",
    Status.OPEN: "○",
    Status.CANCELLING: "↶",
    Status.COMPLETED: "✓",
    Status.CANCELLED: "✗",
    State.DOING: "○",
    State.PREVENTING: "↶",
    State.UNDOING: "↶",
    State.CAPTURING: "○",
    State.DONE: "✓",
    State.CAPTURED: "✓",
    State.REFUSED: "✗",
    State.UNDONE: "↶",
    State.VOID: "-",
    None: "·",
}
#: The same for terminals that have only ASCII.
ASCII_SHAPES: Final[Mapping[str | None, str]] = {
    state: {"◌": "?", "○": "o", "↶": "<", "✓": "+", "✗": "x", "-": "-", "·": "."}[shape]
    for state, shape in SHAPES.items()
}
_REASONS: Final[Mapping[str, str]] = {
    Reason.OVER_LIMIT: "over the payment limit",
    Reason.INSUFFICIENT_FUNDS: "insufficient funds",
    Reason.UNKNOWN_SKU: "unknown article",
    Reason.OUT_OF_STOCK: "out of stock",
    Reason.UNDELIVERABLE: "the country is not served",
    Reason.DECLINED: "it was declined",
    Reason.REQUESTED: "on request",
    Reason.TIMED_OUT: "it had not ended in time",
}


_REFUND_REASONS: Final[Mapping[str, str]] = {
    RefundReason.NOT_COMPLETED: "the order is not completed",
    RefundReason.MORE_THAN_PAID: "more than is left of the payment",
    RefundReason.MORE_THAN_TAKEN: "more units than the order has left",
    RefundReason.NOTHING_LEFT: "nothing is left to give back",
    RefundReason.PAID_OUTSIDE: "the order was paid at a provider: refund it there",
    RefundReason.NOT_ON_ROUTE: "the order did not pass payment, or inventory",
    RefundReason.TOO_MANY_LINES: "too many lines in the refunds of one order",
}


_FAULTS: Final[Mapping[str, str]] = {
    Fault.UNREADABLE: "It cannot be read",
    Fault.INVALID: "A field is wrong",
    Fault.TOO_LARGE: "It is too large",
    Fault.UNEXPECTED_RECORD: "It belongs in another inbox",
    Fault.CARD_NUMBER: "It holds a card number",
    Fault.NOT_SIGNED: "No service has signed it",
    Fault.WRONG_PARTITION: "It lies in the wrong partition",
    Fault.DIFFERENT_CONTENT: "Its id has other content already",
    Fault.UNKNOWN_ORDER: "There is no such order",
    Fault.CLOSED_ORDER: "Its order is closed",
    Fault.CONTRADICTION: "It contradicts what is decided",
}


_ASKED_FOR: Final[Mapping[str, str]] = {
    State.DOING: "asked to do it",
    State.PREVENTING: "asked to prevent it",
    State.UNDOING: "asked to undo it",
    State.CAPTURING: "asked to capture it",
}


def effect(state: str, conflict: str | None, *, is_held: bool = False) -> str:
    """The knowledge of an effect at a provider, and what its provider said against it, if anything.

    `is_held`: the money of it is authorised, and not captured.
    """
    words = AUTHORISED if is_held and state == State.DONE else _ASKED_FOR.get(state, state.lower())
    if conflict is None:
        return words
    outcome, _, reference = conflict.partition(":")
    return f"{words}, but its provider said: {outcome} {reference}".rstrip()


def fault(reason: str) -> str:
    """Why a record is a dead letter, in words; a reason that is not known here is left as it is."""
    return _FAULTS.get(reason, reason)


def why(reason: str | None) -> str:
    """A reason in words; a reason that is not known here is left as it is."""
    return "no reason given" if reason is None else _REASONS.get(reason, reason)


def why_not(reason: str | None) -> str:
    """The reason of a refused refund in words; one that is not known here is left as it is."""
    return "no reason given" if reason is None else _REFUND_REASONS.get(reason, reason)
