"""Checkout listens: see `saga_app.core.checkout` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.checkout import Checkout
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Fetch

TOPIC = topics.CHECKOUT
FOLD = Checkout()


async def listen(fetches: Stream[Fetch], desk: Desk) -> None:
    """Starts every order, watches its deadline, cancels it on request and records how it ended (table orders)."""
    await desk.serve(fetches)
