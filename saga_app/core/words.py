"""The vocabulary that people read: what each step does and undoes, and why an order was turned round."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from saga_app.core.records import Reason, StepName


class StepWords(NamedTuple):
    """What a step deals with, what it is asked to do and to undo, and what is said when it has."""

    thing: str
    do: str
    done: str
    undo: str
    undone: str


STEPS: Final[Mapping[str, StepWords]] = {
    StepName.PAYMENT: StepWords("the payment", "take the payment", "paid", "refund the payment", "refunded"),
    StepName.INVENTORY: StepWords(
        "the stock", "reserve the stock", "reserved", "release the stock", "released"
    ),
    StepName.SHIPPING: StepWords(
        "the shipment", "book the shipment", "shipment booked", "call the shipment off", "called off"
    ),
}
_REASONS: Final[Mapping[str, str]] = {
    Reason.OVER_LIMIT: "over the payment limit",
    Reason.INSUFFICIENT_FUNDS: "insufficient funds",
    Reason.UNKNOWN_SKU: "unknown article",
    Reason.OUT_OF_STOCK: "out of stock",
    Reason.UNDELIVERABLE: "the country is not served",
    Reason.REQUESTED: "on request",
    Reason.TIMED_OUT: "it had not ended in time",
}


def why(reason: str | None) -> str:
    """A reason in words; one that is not known here as it is."""
    return "no reason given" if reason is None else _REASONS.get(reason, reason)
