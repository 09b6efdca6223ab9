"""A shop that takes payments at the Stripe of this machine: one order of every kind, and how it must end."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from saga_app.local.stripe.proxy import StripeInThread

#: Cards of Stripe's test mode, by what their banks do.
CARDS: Final = {"good": "4242424242424242", "declined": "4000000000000341", "3-D Secure": "4000002500003155"}
AMOUNT: Final = 25
CURRENCY: Final = "GBP"


class PaymentKind(NamedTuple):
    """`card`: of whom; `is_begun`: the customer is there, and began the payment; `confirms`: and confirmed it."""

    name: str
    what: str
    card: str
    is_begun: bool = False
    confirms: bool = True
    country: str = "GB"
    is_cancelled: bool = False


KINDS: Final = (
    PaymentKind("saved", "a saved card", "good"),
    PaymentKind("present", "the customer is there, and has confirmed the payment", "good", is_begun=True),
    PaymentKind("declined", "a saved card, which its bank declines", "declined"),
    PaymentKind("secure", "a saved card, whose bank wants 3-D Secure, and nobody is there", "3-D Secure"),
    PaymentKind(
        "gone",
        "the customer never confirms the payment, and the shop cancels the order",
        "good",
        is_begun=True,
        confirms=False,
        is_cancelled=True,
    ),
    PaymentKind("abroad", "paid, and the country is not served: the money goes back", "good", country="NZ"),
)


class StripeShop:
    """The shop's pages: they save cards, and begin payments that customers confirm, or do not."""

    def __init__(self, stripe: StripeInThread) -> None:
        self._stripe = stripe
        self._methods = {name: self._method(number) for name, number in CARDS.items()}

    def orders(self, count: int, suffix: str = "") -> Iterator[tuple[PaymentKind, dict[str, Any]]]:
        """So many orders, of each kind in turn; a payment that is begun is begun when its order is made."""
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            order_id = f"{kind.name}-{number + 1}{suffix}"
            order: dict[str, Any] = {
                "order_id": order_id,
                "customer_id": f"customer-{number % 7}",
                "amount": f"{AMOUNT}.00",
                "currency": CURRENCY,
                "country": kind.country,
            }
            method = self._methods[kind.card]
            if kind.is_begun:
                order["payment_reference"] = f"stripe:{self._begun(order_id, method, confirms=kind.confirms)}"
            else:
                order["payment_method"] = f"stripe:{method}"
            yield kind, order

    def _method(self, card: str) -> str:
        fields = {"card[number]": card, "card[exp_month]": 12, "card[exp_year]": 2040, "card[cvc]": 123}
        return str(self._stripe.ask("POST", "/v1/payment_methods", type="card", **fields)["id"])

    def _begun(self, order_id: str, method: str, *, confirms: bool) -> str:
        wanted = {"amount": AMOUNT * 100, "currency": CURRENCY.lower(), "capture_method": "manual"}
        of_order = {"payment_method": method, "metadata[saga_order]": order_id}
        made = self._stripe.ask("POST", "/v1/payment_intents", **wanted, **of_order)
        if confirms:
            self._stripe.ask("POST", f"/v1/payment_intents/{made['id']}/confirm")
        return str(made["id"])
