"""Words for people: each step, its action and its compensation, and the reasons why an order turned round."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from saga_app.core.records import Reason, StepName
from saga_app.core.route import ROUTE, Step
from saga_app.core.rows import OPEN_STATUSES, State, Status


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
}


def _words(step: Step) -> StepWords:
    name = step.name.value
    thing, do, undo = _ASKED.get(
        name, (f"the {name} step", f"decide the {name} step", f"undo the {name} step")
    )
    return StepWords(thing, do, step.done, undo, step.undone)


STEPS: Final[Mapping[str, StepWords]] = {step.name: _words(step) for step in ROUTE}
#: The state of an order that was placed and that no worker has taken. No row has it.
PLACED: Final = "PLACED"
#: The states of lists and counts: those of rows, and of orders that no worker has taken. Open ones have not ended.
STATES: Final = (PLACED, *(status.value for status in Status))
OPEN: Final = (PLACED, *sorted(status.value for status in OPEN_STATUSES))
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
    State.DONE: "✓",
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
    Reason.DECLINED: "declined by the provider",
    Reason.REQUESTED: "on request",
    Reason.TIMED_OUT: "it had not ended in time",
}


def why(reason: str | None) -> str:
    """A reason in words; a reason that is not known here is left as it is."""
    return "no reason given" if reason is None else _REASONS.get(reason, reason)
