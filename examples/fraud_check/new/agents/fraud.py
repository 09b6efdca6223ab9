"""Fraud listens: see `saga_app.core.fraud` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.fraud import Fraud
from saga_app.core.participant import Participant
from saga_app.core.records import StepName
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.kafka.messages import Fetch

TOPIC = topics.inbox(StepName.FRAUD)
DECIDER = Participant(Fraud())


async def listen(fetches: Stream[Fetch], buffer: InboxBuffer) -> None:
    """Clears an order and asks payment to take the money, or withdraws the clearance (table fraud_checks)."""
    await buffer.serve(fetches)
