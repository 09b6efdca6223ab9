"""A PaymentIntent as Stripe gives it: the fact that it says about a payment, and whether it is for an order."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from saga_app.core import money
from saga_app.core.records import Outcome
from saga_app.effects.ports import Answer, Call

Intent = Mapping[str, Any]
#: Our names in the metadata. The shop's front end writes the first one on an intent that it makes.
ORDER, SEGMENT, STEP = "saga_order", "saga_segment", "saga_step"
KEY, EFFECT = "saga_key", "saga_effect"
#: Metadata of an intent that the saga holds: it captures the money once the order is shipped.
CAPTURE, LATER = "saga_capture", "later"
#: The code where less was captured than was authorised.
IN_PART: Final = "captured_in_part"
#: Currencies whose amounts Stripe wants with two digits more than ISO 4217 gives them.
TWO_DIGITS: Final = frozenset({"ISK", "UGX"})
#: The statuses of an intent that takes nothing yet. One that is `processing` can seldom be stopped.
STOPPABLE: Final = frozenset(
    {"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing"}
)
#: Refunds on their way.
_OPEN: Final = frozenset({"pending", "requires_action"})
#: Seconds before which it is not worth while to look again.
_WAIT: Final = 2.0


def fact(intent: Intent) -> Answer:
    """The fact that an intent says. It was retrieved just now; its `latest_charge` counts refunds on their way."""
    status, name = intent["status"], intent["id"]
    if status == "canceled":
        # What was held is let go; what never was is refused.
        outcome = (
            Outcome.UNDONE
            if is_held(intent) and _charge(intent).get("status") == "succeeded"
            else Outcome.REFUSED
        )
        return Answer(outcome, name, "canceled")
    if status == "requires_capture" and is_held(intent):
        return Answer(Outcome.DONE, name, "authorised", capture_before=capture_before(intent))
    if status == "succeeded":
        # In part is not all of it: the rest is still taken.
        if _charge(intent).get("amount_refunded", 0) >= _to_return(intent):
            return Answer(Outcome.UNDONE, name, "refunded")
        if is_taken_in_part(intent):
            return Answer(Outcome.UNKNOWN, name, IN_PART)
        return Answer(Outcome.CAPTURED if is_held(intent) else Outcome.DONE, name, "succeeded")
    return Answer(Outcome.PENDING, name, why(intent), wait=_WAIT)


def is_held(intent: Intent) -> bool:
    """True if the saga holds this intent for an order that is captured later."""
    return (intent.get("metadata") or {}).get(CAPTURE) == LATER


def is_taken_in_part(intent: Intent) -> bool:
    """True if less was captured than was authorised: only a person can have done that."""
    return bool(intent["status"] == "succeeded" and _received(intent) < intent["amount"])


def taken(intent: Intent) -> int:
    """The amount that it has taken, or would take, in the smallest unit of the currency."""
    amount: int = _received(intent) if intent["status"] == "succeeded" else intent["amount"]
    return amount


def capture_before(intent: Intent) -> int | None:
    """When the authorisation runs out, in seconds since 1970; None if Stripe does not say."""
    card = (_charge(intent).get("payment_method_details") or {}).get("card") or {}
    before: int | None = card.get("capture_before")
    return before


def why(intent: Intent) -> str:
    """Why the last attempt failed, or the status."""
    error = intent.get("last_payment_error") or {}
    return str(error.get("decline_code") or error.get("code") or intent["status"])


def mismatch(call: Call, intent: Intent) -> str | None:
    """Why this intent does not pay for this order; None if it does."""
    order, names = call.order, intent.get("metadata") or {}
    if names.get(ORDER) != order.order_id or names.get(EFFECT, call.effect) != call.effect:
        return "not_for_this_order"
    if intent["currency"] != order.currency.lower():
        return "currency_mismatch"
    return None if intent["amount"] == minor_units(order.amount, order.currency) else "amount_mismatch"


def has_taken(call: Call, intent: Intent) -> bool:
    """True if the intent has taken money for this order, whatever the amount."""
    names = intent.get("metadata") or {}
    is_named = (
        names.get(ORDER) == call.order.order_id if EFFECT not in names else names[EFFECT] == call.effect
    )
    return is_named and intent["status"] == "succeeded"


def is_refunded(intent: Intent, refunds: Sequence[Mapping[str, Any]], *, also_open: bool = False) -> bool:
    """True if all of it is given back; `also_open` counts what is on its way."""
    wanted = {"succeeded"} | (_OPEN if also_open else set())
    returned = sum(each["amount"] for each in refunds if each["status"] in wanted)
    return bool(returned >= _to_return(intent))


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount as Stripe wants it: in the smallest unit of the currency."""
    return int(amount.scaleb(_digits(currency)).to_integral_exact())


def major_units(amount: int, currency: str) -> Decimal:
    """The amount in units of the currency, from what Stripe says."""
    return money.normal(Decimal(amount).scaleb(-_digits(currency.upper())), currency.upper())


def _digits(currency: str) -> int:
    return 2 if currency in TWO_DIGITS else money.DIGITS[currency]


def _charge(intent: Intent) -> Mapping[str, Any]:
    """The last charge, which is the intent's own if it was retrieved with it."""
    charge = intent.get("latest_charge")
    return charge if isinstance(charge, Mapping) else {}


def _to_return(intent: Intent) -> int:
    """The amount that was taken. Of a capture in part the rest counts as returned too: all that was authorised."""
    amount: int = intent["amount"] if is_taken_in_part(intent) else _received(intent)
    return amount


def _received(intent: Intent) -> int:
    received: int = intent.get("amount_received", intent["amount"])
    return received
