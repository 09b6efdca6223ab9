"""`scripts/run --provider stripe`: a Stripe on this machine, orders of every kind that it pays, and its ledger."""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from saga_app.core.route import CAPTURE, DEFAULT_NAMES
from saga_app.effects.ledgers import compared
from saga_app.kafka.sender import Sender, checked
from saga_app.local.outage import OutageWatch
from saga_app.local.process import until
from saga_app.local.stripe.proxy import StripeInThread, StripeProxy
from saga_app.local.stripe.server import local_stripe
from saga_app.local.stripe.shop import KINDS, PaymentKind, StripeShop
from saga_app.settings import Settings

#: Seconds for which the provider answers first; and for which it is then down: so long that its breaker opens.
UP_FOR: Final = 4.0
DOWN_FOR: Final = 6.0
#: Seconds in which every sign of an outage must be gone behind the last order.
GONE_WITHIN: Final = 15.0
#: Any key will do: it is no secret.
KEY: Final = "sk_test_local"
NAME: Final = "stripe"


class LocalPayments:
    """Stripe on this machine, and the shop that uses it."""

    def __init__(self, folder: Path, say: Callable[[str], None], down_for: float = DOWN_FOR) -> None:
        self._folder = folder
        self._say = say
        self._down_for = down_for
        self._outage: OutageWatch | None = None
        self._running = ExitStack()
        self._began = datetime.now(UTC)
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Starts it, and names it to this process and to all that it starts. Raises `LocalStripeError`."""
        address = self._running.enter_context(local_stripe(self._folder))
        self._stripe = self._running.enter_context(StripeInThread(StripeProxy(address)))
        os.environ.update(self.environment)
        self._say(f"Stripe: localstripe at {self._stripe.proxy.address}; no money is real")

    @property
    def environment(self) -> dict[str, str]:
        """The settings of workers, API and tools."""
        return {
            "SAGA_PROVIDERS": f"{NAME}=saga_app.effects.providers.stripe:provider",
            "SAGA_PROVIDER_STRIPE_KEY": KEY,
            "SAGA_PROVIDER_STRIPE_ADDRESS": self._stripe.proxy.address,
            "SAGA_PROVIDER_TIMEOUT": "5s",
        }

    def capture_later(self, settings: Settings) -> None:
        """Has the money of all later orders authorised first, and taken when they are shipped."""
        route = [*DEFAULT_NAMES, CAPTURE.name]
        policy = checked({"type": "PolicyChanged", "policy_id": "capture", "route": route})
        Sender(settings).send_all([policy])
        self._say(f"route: {', '.join(route)}")

    def place(self, settings: Settings, worker_url: str, count: int, suffix: str) -> set[str]:
        """Begins to place the orders, half of them while the provider is down; returns their ids."""
        self._outage = OutageWatch(settings, worker_url, NAME)
        sender = Sender(settings)
        made = list(StripeShop(self._stripe).orders(count, suffix))
        for kind in KINDS:
            number = sum(each is kind for each, _ in made)
            self._say(f"{number:>8} orders {kind.name}-...: {kind.what}")
        threading.Thread(target=self._sell, args=(sender, made), name="shop", daemon=True).start()
        return {order["order_id"] for _, order in made}

    def agrees(self, settings: Settings) -> bool:
        """Compares the ledger with the journals, and says what differs."""
        differ = compared(settings, NAME, self._began)
        for each, step in differ.items():
            both = f"{NAME} says {each.provider}; the journal says {each.journal}"
            self._say(f"  {each.kind}: order {each.order_id}, {step}, {each.reference}: {both}")
        self._say(f"Stripe's ledger and the journal: {len(differ)} differences")
        return not differ

    def tell_outage(self) -> None:
        """Says how long it took until people saw the outage, and until all orders had ended behind it."""
        outage = self._outage
        if outage is None or not outage.is_over:
            return
        self._say(f"all orders have ended {outage.since_end():.1f} s after Stripe answered again")
        until(lambda: len(outage.went) == len(outage.came), GONE_WITHIN)
        for line in outage.in_words():
            self._say(f"outage of {self._down_for:g} s, {line}")

    def stop(self) -> None:
        """Ends it; whatever it knew is gone."""
        self._is_stopping.set()
        if self._outage is not None:
            self._outage.close()
        self._running.close()

    def _sell(self, sender: Sender, made: Sequence[tuple[PaymentKind, dict[str, Any]]]) -> None:
        """Places half of the orders, takes the provider down, places the others, and brings it back."""
        half = len(made) // 2
        sender.send_all(checked(order) for _, order in made[:half])
        if self._is_stopping.wait(UP_FOR):
            return
        assert self._outage is not None
        self._stripe.proxy.is_down = True
        self._outage.begin()
        self._say(
            f"Stripe is down for {self._down_for:g} s; the other half of the orders is placed meanwhile"
        )
        sender.send_all(checked(order) for _, order in made[half:])
        if self._is_stopping.wait(self._down_for):
            return
        self._stripe.proxy.is_down = False
        self._outage.end()
        given_up = [order["order_id"] for kind, order in made if kind.is_cancelled]
        self._say(
            f"Stripe answers again; customers of {len(given_up)} orders are gone, and the shop cancels them"
        )
        sender.send_all(checked({"type": "CancellationRequested", "order_id": each}) for each in given_up)
