"""Capture: the second half of a payment, behind the pivot. It takes the money that the payment step has authorised.

It is a step of the route and no service of its own: only the payment's row names the authorisation at the provider, and
undo and capture of one authorisation are decided in one partition. The machine is `outside.CAPTURE_MACHINE`.
"""

from saga_app.core import route
from saga_app.core.decider import Decision, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import StepRequest
from saga_app.core.rows import JournalRow, State


def unknown(record: StepRequest) -> Rejected:
    """The rejection for an order that this partition does not know."""
    return Rejected(Fault.UNKNOWN_ORDER, f"order {record.order_id} was never paid, and cannot be captured")


def inside(record: StepRequest, row: JournalRow) -> Decision:
    """An order that was paid here, or had nothing to pay: there is nothing to capture, and it goes on."""
    if row.state is not State.DONE:
        raise Rejected(
            Fault.CONTRADICTION, f"order {record.order_id} is to be captured, but its payment is {row.state}"
        )
    return repeated([route.send_on(route.CAPTURE, record.order, record.segment)])
