"""Payment listens: see `saga_app.core.payment` for what it decides."""

from faust import Stream

from saga_app import topics
from saga_app.core.participant import Participant
from saga_app.core.payment import Payment
from saga_app.durable.desk import Desk
from saga_app.durable.ports import Fetch

TOPIC = topics.PAYMENT
FOLD = Participant(Payment())


async def listen(fetches: Stream[Fetch], desk: Desk) -> None:
    """Takes an order's payment and asks inventory to reserve, or gives it back (tables payments, accounts)."""
    await desk.serve(fetches)
