"""Stripe's errors: a payment is refused for good, it is not known, or there was no answer at all."""

import logging
from collections.abc import Awaitable
from typing import Final

import aiohttp
import stripe

from saga_app.core.records import Outcome
from saga_app.effects.calls import LONGEST_WAIT
from saga_app.effects.ports import Answer, NoAnswer

_LOG: Final = logging.getLogger(__name__)
#: Why no intent can be made, or confirmed, for this order, by code and, where it matters, parameter: the customer's
#: method or amount, and nothing that is wrong for other orders too.
NEVER_POSSIBLE: Final = frozenset(
    {
        ("resource_missing", "payment_method"),
        ("amount_too_small", None),
        ("amount_too_large", None),
        ("payment_method_currency_mismatch", None),
        ("payment_method_invalid_parameter", None),
        ("payment_intent_incompatible_payment_method", None),
    }
)


async def answered(answer: Awaitable[Answer]) -> Answer:
    """The answer. What Stripe says no to is `unknown`; if it says nothing, or not now, that is no answer."""
    try:
        return await answer
    except (stripe.APIConnectionError, aiohttp.ClientError) as error:
        # A body that is cut raises aiohttp's own error.
        raise NoAnswer(type(error).__name__) from error
    except stripe.StripeError as error:
        status = error.http_status or 0
        if status in (409, 429) or status >= 500 or not status:
            raise NoAnswer(f"http_{status}", f"request {error.request_id}", _wait(error)) from error
        _LOG.error(
            "Stripe says %s, %s, to request %s. It is not known what became of the payment, and it is asked for again. "
            "Look the request up at Stripe; the secret key or its permissions may be wrong",
            status,
            code(error),
            error.request_id,
        )
        return Answer(Outcome.UNKNOWN, code=code(error), detail=f"request {error.request_id}"[:200])


def is_never_possible(error: stripe.InvalidRequestError) -> bool:
    """True if Stripe will never make or confirm an intent for this order."""
    return (error.code, error.param) in NEVER_POSSIBLE or (error.code, None) in NEVER_POSSIBLE


def code(error: stripe.StripeError) -> str:
    """Stripe's word for the error; why a card was declined, if that is it."""
    told = error.error
    decline = getattr(told, "decline_code", None) or getattr(told, "code", None)
    return str(error.code or decline or type(error).__name__)


def _wait(error: stripe.StripeError) -> float:
    after = (error.headers or {}).get("Retry-After", "")
    return min(float(after), LONGEST_WAIT) if after.isdecimal() else 0.0
