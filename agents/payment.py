"""Payment listens: see `saga_app.core.payment` for what it decides."""

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.payment import Payment
from saga_app.engine.ports import Batches
from saga_app.engine.round import Round

TOPIC = topics.PAYMENT
DECIDER = Participant(Payment())


async def listen(inbox: Batches, rounds: Round) -> None:
    """Takes an order's payment and asks inventory to reserve, or gives it back (tables payments, accounts)."""
    async for batches in inbox:
        for decided in rounds.decide(batches):
            await rounds.forward(decided)
