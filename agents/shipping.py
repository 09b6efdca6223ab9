"""Shipping listens: see `saga_app.core.shipping` for what it decides."""

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.shipping import Shipping
from saga_app.engine.ports import Batches
from saga_app.engine.round import Round

TOPIC = topics.SHIPPING
DECIDER = Participant(Shipping())


async def listen(inbox: Batches, rounds: Round) -> None:
    """Books an order's shipment and tells checkout that it completed, or turns it round (table shipments)."""
    async for batches in inbox:
        for decided in rounds.decide(batches):
            await rounds.forward(decided)
