"""Checkout listens: see `saga_app.core.checkout` for what it decides."""

from collections.abc import AsyncIterator, Awaitable, Callable

from saga_app import topics
from saga_app.core.checkout import Checkout
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Batch

TOPIC = topics.CHECKOUT
FOLD = Checkout()


def receive(desk: Desk) -> Callable[..., Awaitable[None]]:
    """The agent, with its desk."""

    async def checkout(batches: AsyncIterator[Batch]) -> None:
        """Starts every order, watches its deadline, cancels it on request and records how it ended (table orders)."""
        async for batch in batches.noack():  # type: ignore[attr-defined]
            desk.deliver(batch)

    return checkout
