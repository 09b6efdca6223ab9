"""Shipping listens: see `saga_app.core.shipping` for what it decides."""

from collections.abc import AsyncIterator, Awaitable, Callable

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.shipping import Shipping
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Batch

TOPIC = topics.SHIPPING
FOLD = Participant(Shipping())


def receive(desk: Desk) -> Callable[..., Awaitable[None]]:
    """The agent, with its desk."""

    async def shipping(batches: AsyncIterator[Batch]) -> None:
        """Books an order's shipment and tells checkout that it completed, or turns it round (table shipments)."""
        async for batch in batches.noack():  # type: ignore[attr-defined]
            desk.deliver(batch)

    return shipping
