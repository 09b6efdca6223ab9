"""Inventory listens: see `saga_app.core.inventory` for what it decides."""

from saga_app import topics
from saga_app.core.inventory import Inventory
from saga_app.core.participant import Participant
from saga_app.engine.ports import Batches
from saga_app.engine.round import Round

TOPIC = topics.INVENTORY
DECIDER = Participant(Inventory())


async def listen(inbox: Batches, rounds: Round) -> None:
    """Reserves an order's lines, all or none, and asks shipping, or puts them back (tables reservations, stock)."""
    async for batches in inbox:
        for decided in rounds.decide(batches):
            await rounds.forward(decided)
