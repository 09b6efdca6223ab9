"""Payment listens: see `saga_app.core.payment` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.payment import Payment
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.kafka.messages import Fetch

TOPIC = topics.PAYMENT
DECIDER = Participant(Payment())


async def listen(fetches: Stream[Fetch], buffer: InboxBuffer) -> None:
    """Takes an order's payment and asks inventory to reserve, or gives it back (tables payments, accounts)."""
    await buffer.serve(fetches)
