"""Checkout listens: see `saga_app.core.checkout` for what it decides."""

from saga_app import topics
from saga_app.core.checkout import Checkout
from saga_app.engine.ports import Batches
from saga_app.engine.round import Round

TOPIC = topics.CHECKOUT
DECIDER = Checkout()


async def listen(inbox: Batches, rounds: Round) -> None:
    """Starts every order, watches its deadline, cancels it on request and records how it ended (table orders)."""
    async for batches in inbox:
        for decided in rounds.decide(batches):
            await rounds.forward(decided)
