"""Shipping listens: see `saga_app.core.shipping` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.shipping import Shipping
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Fetch

TOPIC = topics.SHIPPING
FOLD = Participant(Shipping())


async def listen(fetches: Stream[Fetch], desk: Desk) -> None:
    """Books an order's shipment and tells checkout that it completed, or turns it round (table shipments)."""
    await desk.serve(fetches)
