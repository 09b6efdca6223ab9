"""Fraud listens: see `saga_app.core.fraud` for what it decides."""

from saga_app import topics
from saga_app.core.fraud import Fraud
from saga_app.core.participant import Participant
from saga_app.core.records import StepName
from saga_app.engine.ports import Batches
from saga_app.engine.round import Round

TOPIC = topics.inbox(StepName.FRAUD)
DECIDER = Participant(Fraud())


async def listen(inbox: Batches, rounds: Round) -> None:
    """Clears an order and asks payment to take the money, or withdraws the clearance (table fraud_checks)."""
    async for batches in inbox:
        for decided in rounds.decide(batches):
            await rounds.forward(decided)
