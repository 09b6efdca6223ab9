"""Checkout listens: see `saga_app.core.checkout` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.checkout import Checkout
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.kafka.messages import Fetch

TOPIC = topics.CHECKOUT
DECIDER = Checkout()


async def listen(fetches: Stream[Fetch], buffer: InboxBuffer) -> None:
    """Starts every order, watches its deadline, cancels it on request and records how it ended (table orders)."""
    await buffer.serve(fetches)
