"""Shipping listens: see `saga_app.core.shipping` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.shipping import Shipping
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.kafka.messages import Fetch

TOPIC = topics.SHIPPING
DECIDER = Participant(Shipping())


async def listen(fetches: Stream[Fetch], buffer: InboxBuffer) -> None:
    """Books an order's shipment and tells checkout that it completed, or turns it round (table shipments)."""
    await buffer.serve(fetches)
