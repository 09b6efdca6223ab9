"""The route of the saga, written once, as data. The last step is the pivot: once it is done, the order completes."""

from dataclasses import dataclass
from typing import Final

from saga_app.core import records
from saga_app.core.records import Do, Order, Reason, Record, StepName, Undo


@dataclass(frozen=True, slots=True)
class Step:
    """One service: the record that asks it to act, and the one that asks it to undo."""

    name: StepName
    do: type[Do]
    undo: type[Undo]


ROUTE: Final = (
    Step(StepName.PAYMENT, records.PaymentRequested, records.RefundRequested),
    Step(StepName.INVENTORY, records.ReservationRequested, records.ReleaseRequested),
    Step(StepName.SHIPPING, records.ShipmentRequested, records.ShipmentCancellationRequested),
)
PIVOT: Final = ROUTE[-1]


def step(name: StepName) -> Step:
    """The step of that name."""
    return next(each for each in ROUTE if each.name == name)


def start(order: Order, cohort: str | None = None) -> Record:
    """Asks the first step to act."""
    return ROUTE[0].do(order=order, cohort=cohort)  # type: ignore[return-value]


def abort(order: Order, reason: Reason, cohort: str | None = None) -> Record:
    """Cancelling walks the route from its end, so it meets the order wherever it is."""
    last, here = ROUTE[-1], StepName.CHECKOUT
    return last.undo(order=order, reason=reason, step=here, cohort=cohort)  # type: ignore[return-value]


def send_on(here: Step, order: Order, cohort: str | None = None) -> Record:
    """Asks the next step to act, or ends the order as completed."""
    if here is PIVOT:
        return records.OrderCompleted(order_id=order.order_id, cohort=cohort)
    return ROUTE[ROUTE.index(here) + 1].do(order=order, cohort=cohort)  # type: ignore[return-value]


def send_back(
    here: Step, order: Order, reason: Reason, turned_at: StepName, cohort: str | None = None
) -> Record:
    """Asks the step before to undo, or ends the order as cancelled."""
    if here is ROUTE[0]:
        return records.OrderCancelled(order_id=order.order_id, reason=reason, step=turned_at, cohort=cohort)
    before = ROUTE[ROUTE.index(here) - 1]
    return before.undo(order=order, reason=reason, step=turned_at, cohort=cohort)  # type: ignore[return-value]
