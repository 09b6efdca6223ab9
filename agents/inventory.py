"""Inventory listens: see `saga_app.core.inventory` for what it decides."""

from collections.abc import AsyncIterator, Awaitable, Callable

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.inventory import Inventory
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Batch

TOPIC = topics.INVENTORY
FOLD = Participant(Inventory())


def receive(desk: Desk) -> Callable[..., Awaitable[None]]:
    """The agent, with its desk."""

    async def inventory(batches: AsyncIterator[Batch]) -> None:
        """Reserves an order's lines, all or none, and asks shipping to book, or puts them back (tables reservations, stock)."""
        async for batch in batches.noack():  # type: ignore[attr-defined]
            desk.deliver(batch)

    return inventory
