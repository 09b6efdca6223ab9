"""Payments of Stripe's test mode, one of each way: `saga try --provider` places orders with them."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from stripe import StripeClient

from saga_app.core.records import Outcome
from saga_app.effects.ports import TrialPayment
from saga_app.effects.providers import stripe_intent as intents

if TYPE_CHECKING:
    from stripe.params import PaymentIntentCreateParams

#: Payment methods that every account has in test mode, and none in live mode.
GOOD: Final = "pm_card_visa"
DECLINED: Final = "pm_card_chargeCustomerFail"
_THERE: Final = frozenset({Outcome.DONE, Outcome.CAPTURED})
_BACK: Final = frozenset({Outcome.UNDONE, Outcome.REFUSED})


async def payments(
    client: StripeClient, name: str, prefix: str, amount: Decimal, currency: str, not_served: str
) -> list[TrialPayment]:
    """They are begun as far as a customer would have begun them; ids of orders begin with `prefix`.

    `not_served` is a country to which nothing is shipped, so that an order is paid and then given back.
    """
    order_id = f"{prefix}-begun"
    wanted: dict[str, Any] = {
        "amount": intents.minor_units(amount, currency),
        "currency": currency.lower(),
        "capture_method": "manual",
        "payment_method": GOOD,
        "allowed_payment_method_types": ["card"],
        "metadata": {intents.ORDER: order_id},
    }
    begun = await client.v1.payment_intents.create_async(cast("PaymentIntentCreateParams", wanted))
    await client.v1.payment_intents.confirm_async(begun.id)
    saved, declined = f"{name}:{GOOD}", f"{name}:{DECLINED}"
    return [
        TrialPayment(f"{prefix}-saved", "a saved card", {"payment_method": saved}, _THERE),
        TrialPayment(
            order_id, "the customer has confirmed it", {"payment_reference": f"{name}:{begun.id}"}, _THERE
        ),
        TrialPayment(
            f"{prefix}-declined",
            "a saved card, which its bank declines",
            {"payment_method": declined},
            frozenset({Outcome.REFUSED}),
        ),
        TrialPayment(
            f"{prefix}-back",
            "paid, and then cancelled: the money goes back",
            {"payment_method": saved, "country": not_served},
            _BACK,
        ),
    ]
