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
        return Answer(Outcome.REFUSED, name, "canceled")
    if status == "succeeded":
        charge = intent.get("latest_charge")
        returned = charge.get("amount_refunded", 0) if isinstance(charge, Mapping) else 0
        # In part is not all of it: the rest is still taken.
        if returned >= _received(intent):
            return Answer(Outcome.UNDONE, name, "refunded")
        return Answer(Outcome.DONE, name, "succeeded")
    return Answer(Outcome.PENDING, name, why(intent), wait=_WAIT)


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
    return bool(returned >= _received(intent))


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount as Stripe wants it: in the smallest unit of the currency."""
    return int(amount.scaleb(_digits(currency)).to_integral_exact())


def major_units(amount: int, currency: str) -> Decimal:
    """The amount in units of the currency, from what Stripe says."""
    return money.normal(Decimal(amount).scaleb(-_digits(currency.upper())), currency.upper())


def _digits(currency: str) -> int:
    return 2 if currency in TWO_DIGITS else money.DIGITS[currency]


def _received(intent: Intent) -> int:
    received: int = intent.get("amount_received", intent["amount"])
    return received
