"""The route of the saga, written once, as data. The last step is the pivot: once it is done, the order completes.

Inboxes, routing, audit, history, order database and diagrams follow from it: `docs/how-to/add-a-step.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from saga_app.core import records
from saga_app.core.order import Order
from saga_app.core.records import Do, Reason, Record, StepName, Undo


def by_order(order: Order) -> str:
    """Orders with nothing in common are spread over all partitions."""
    return order.order_id


def by_customer(order: Order) -> str:
    """Orders that are paid from one account are decided in one partition."""
    return order.customer_id or order.order_id


def by_warehouse(order: Order) -> str:
    """Orders that take from one stock are decided in one partition."""
    return order.warehouse if order.lines else order.order_id


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the saga: its action and the compensation of it, as the records that ask for them.

    `journal` is its table with one row per order. `key` gives the key of its records, and so their partition. `done`
    and `undone` are words for people.
    """

    name: StepName
    do: type[Do]
    undo: type[Undo]
    journal: str
    done: str
    undone: str
    key: Callable[[Order], str] = by_order


ROUTE: Final = (
    Step(
        StepName.PAYMENT,
        do=records.PaymentRequested,
        undo=records.RefundRequested,
        journal="payments",
        done="paid",
        undone="refunded",
        key=by_customer,
    ),
    Step(
        StepName.INVENTORY,
        do=records.ReservationRequested,
        undo=records.ReleaseRequested,
        journal="reservations",
        done="reserved",
        undone="released",
        key=by_warehouse,
    ),
    Step(
        StepName.SHIPPING,
        do=records.ShipmentRequested,
        undo=records.ShipmentCancellationRequested,
        journal="shipments",
        done="shipment booked",
        undone="shipment cancelled",
    ),
)
PIVOT: Final = ROUTE[-1]
#: Types of records in the order of cause and effect, for those that come from one another within a millisecond.
SEQUENCE: Final = (
    "OrderPlaced",
    "CancellationRequested",
    "DeadlinePassed",
    # A call takes longer than a millisecond, and what follows from its answer does not.
    "StepAnswered",
    *(step.do.__name__ for step in ROUTE),
    *(step.undo.__name__ for step in reversed(ROUTE)),
    "OrderCompleted",
    "OrderCancelled",
)


_BY_NAME: Final = {each.name: each for each in ROUTE}
_AFTER: Final = {here.name: there for here, there in pairwise(ROUTE)}
_BEFORE: Final = {there.name: here for here, there in pairwise(ROUTE)}


def step(name: StepName) -> Step:
    """The step of that name."""
    return _BY_NAME[name]


def start(order: Order, segment: str | None = None) -> Record:
    """Asks the first step for its action."""
    return _request(ROUTE[0].do, order, segment)


def abort(order: Order, reason: Reason, segment: str | None = None) -> Record:
    """Asks the last step for its compensation: from there the compensations meet the order wherever it is."""
    return _request(ROUTE[-1].undo, order, segment, reason=reason, step=StepName.CHECKOUT)


def cancelled(order: Order, reason: Reason, segment: str | None = None) -> Record:
    """Ends an order as cancelled of which no step was asked for anything."""
    return records.OrderCancelled(
        order_id=order.order_id, reason=reason, step=StepName.CHECKOUT, segment=segment
    )


def send_on(here: Step, order: Order, segment: str | None = None) -> Record:
    """Asks the next step for its action, or ends the order as completed."""
    if here is PIVOT:
        return records.OrderCompleted.of(type="OrderCompleted", order_id=order.order_id, segment=segment)
    return _request(_AFTER[here.name].do, order, segment)


def send_back(
    here: Step, order: Order, reason: Reason, turned_at: StepName, segment: str | None = None
) -> Record:
    """Asks the step before for its compensation, or ends the order as cancelled."""
    if here is ROUTE[0]:
        return records.OrderCancelled(order_id=order.order_id, reason=reason, step=turned_at, segment=segment)
    return _request(_BEFORE[here.name].undo, order, segment, reason=reason, step=turned_at)


def _request(model: type[Do | Undo], order: Order, segment: str | None, **turned: StrEnum) -> Record:
    return model.of(type=model.__name__, order=order, segment=segment, **turned)  # type: ignore[return-value]
