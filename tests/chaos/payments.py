"""Payments at a Stripe that fails: a part of the orders names one, and at the end its ledger must be the journal's."""

import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from saga_app.local.stripe.proxy import PASSING, Request, StripeFault, StripeInThread, StripeProxy
from saga_app.local.stripe.server import local_stripe
from saga_app.local.stripe.shop import CARDS

#: Shares of the orders that are paid there, of those whose card is declined, and of requests that go wrong.
OUTSIDE: Final = 0.35
DECLINED: Final = 0.2
FAULTY: Final = 0.1
#: A late request arrives behind so many others.
LATE: Final = 4
NAME: Final = "stripe"
#: Calls of a worker at once. The local Stripe does one thing after the other: of 64 calls of each worker most would be
#: given up before it comes to them, and made again.
CALLS: Final = "8"


def faulty(seed: str) -> Callable[[Request], StripeFault | None]:
    """Requests that go wrong, drawn from the seed."""
    chance = random.Random(f"payments {seed}")
    return lambda request: chance.choice(PASSING) if chance.random() < FAULTY else None


class ChaosPayments:
    """A Stripe of this run, and the cards that its customers have saved there."""

    def __init__(self, folder: Path, seed: str) -> None:
        self._running = ExitStack()
        address = self._running.enter_context(local_stripe(folder))
        self._stripe = self._running.enter_context(StripeInThread(StripeProxy(address, arrives_after=LATE)))
        self._cards = {name: self._card(CARDS[name]) for name in ("good", "declined")}
        self._stripe.proxy.plan = faulty(seed)

    @property
    def settings(self) -> dict[str, str]:
        """Of workers and commands."""
        return {
            "SAGA_PROVIDERS": f"{NAME}=saga_app.effects.providers.stripe:provider",
            "SAGA_PROVIDER_STRIPE_KEY": "sk_test_local",
            "SAGA_PROVIDER_STRIPE_ADDRESS": self._stripe.proxy.address,
            "SAGA_PROVIDER_TIMEOUT": "4s",
            "SAGA_PROVIDER_CALLS": CALLS,
        }

    def drawn(self, chance: random.Random) -> dict[str, Any]:
        """The fields of an order that is paid there; none of one that is not."""
        if chance.random() >= OUTSIDE:
            return {}
        card = "declined" if chance.random() < DECLINED else "good"
        return {"payment_method": f"{NAME}:{self._cards[card]}"}

    @property
    def requests(self) -> int:
        """Requests that it has heard."""
        return len(self._stripe.proxy.requests)

    def set_down(self, is_down: bool) -> None:
        """Nobody reaches it, or everybody again; it forgets nothing."""
        self._stripe.proxy.is_down = is_down

    def heal(self) -> None:
        """Nothing fails any more, and what was under way arrives."""
        self._stripe.proxy.plan = lambda request: None
        self._stripe.proxy.is_down = False
        self._stripe.wait_for(self._stripe.proxy.arrive())

    def close(self) -> None:
        self._running.close()

    def _card(self, number: str) -> str:
        card = {"card[number]": number, "card[exp_month]": 12, "card[exp_year]": 2040, "card[cvc]": 123}
        return str(self._stripe.ask("POST", "/v1/payment_methods", type="card", **card)["id"])
