"""Payment listens: see `saga_app.core.payment` for what it decides."""

from collections.abc import AsyncIterator, Awaitable, Callable

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.payment import Payment
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Batch

TOPIC = topics.PAYMENT
FOLD = Participant(Payment())


def receive(desk: Desk) -> Callable[..., Awaitable[None]]:
    """The agent, with its desk."""

    async def payment(batches: AsyncIterator[Batch]) -> None:
        """Takes an order's payment and asks inventory to reserve, or gives it back (tables payments, accounts)."""
        async for batch in batches.noack():  # type: ignore[attr-defined]
            desk.deliver(batch)

    return payment
