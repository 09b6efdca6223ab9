"""Fraud listens: see `saga_app.core.fraud` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.fraud import Fraud
from saga_app.core.participant import Participant
from saga_app.core.records import StepName
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Fetch

TOPIC = topics.inbox(StepName.FRAUD)
FOLD = Participant(Fraud())


async def listen(fetches: Stream[Fetch], desk: Desk) -> None:
    """Clears an order and asks payment to take the money, or withdraws the clearance (table fraud_checks)."""
    await desk.serve(fetches)
