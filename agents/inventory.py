"""Inventory listens: see `saga_app.core.inventory` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.inventory import Inventory
from saga_app.core.participant import Participant
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.kafka.messages import Fetch

TOPIC = topics.INVENTORY
DECIDER = Participant(Inventory())


async def listen(fetches: Stream[Fetch], buffer: InboxBuffer) -> None:
    """Reserves an order's lines, all or none, and asks shipping, or puts them back (tables reservations, stock)."""
    await buffer.serve(fetches)
