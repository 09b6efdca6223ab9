"""Inventory listens: see `saga_app.core.inventory` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.inventory import Inventory
from saga_app.core.participant import Participant
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Fetch

TOPIC = topics.INVENTORY
FOLD = Participant(Inventory())


async def listen(fetches: Stream[Fetch], desk: Desk) -> None:
    """Reserves an order's lines, all or none, and asks shipping, or puts them back (tables reservations, stock)."""
    await desk.serve(fetches)
