"""The steps, and the routes that orders take through them, written once, as data.

An order carries its route, so a change of the route in force leaves orders alone that are under way. Inboxes, routing,
audit, history, order database and diagrams follow from `STEPS`: `docs/how-to/add-a-step.md`.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, get_args

from saga_app.core import records
from saga_app.core.order import Order
from saga_app.core.own_steps import OWN
from saga_app.core.records import Do, Reason, Record, Undo
from saga_app.core.step import Step, StepKind, by_customer, by_warehouse
from saga_app.core.step_names import VARIABLE, StepName

#: The route of an order that names none.
DEFAULT: Final = (
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
        kind=StepKind.PIVOT,
    ),
)
#: The names of its steps.
DEFAULT_NAMES: Final = tuple(each.name for each in DEFAULT)
#: Every step that has a service of its own: those that are built in, and the shop's own.
STEPS: Final = (*DEFAULT, *(own.step for own in OWN))
#: Takes the money that the payment has authorised. The payment service decides it, in the row of the payment.
CAPTURE: Final = Step(
    StepName.CAPTURE,
    do=records.CaptureRequested,
    undo=None,
    journal="payments",
    done="captured",
    undone="",
    key=by_customer,
    kind=StepKind.RETRIABLE,
)
#: Every step that a route may name.
NAMED: Final = (*STEPS, CAPTURE)
#: Every type of record.
RECORD_TYPES: Final[tuple[type[Any], ...]] = (
    *get_args(Record),
    *(request for own in OWN for request in own.step.requests),
)
#: Types of records in the order of cause and effect, for those that come from one another within a millisecond.
SEQUENCE: Final = (
    "OrderPlaced",
    "CancellationRequested",
    "DeadlinePassed",
    # A call takes longer than a millisecond, and what follows from its answer does not.
    "StepAnswered",
    *(step.do.__name__ for step in STEPS),
    CAPTURE.do.__name__,
    *(step.undo.__name__ for step in reversed(STEPS) if step.undo is not None),
    "OrderCompleted",
    "OrderCancelled",
    "RefundOpened",
    "RepaymentRequested",
    "RestockRequested",
    "RefundCompleted",
    "RefundRefused",
)


_BY_NAME: Final = {each.name: each for each in NAMED}


class Route:
    """The steps of one order, in sequence."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self.first = steps[0]
        #: The steps with an inbox and a journal of their own.
        self.services = tuple(step for step in steps if step in STEPS)
        self.pivot = next(step for step in steps if step.kind is StepKind.PIVOT)
        self._after = {here.name: there for here, there in pairwise(steps)}
        self._before = {there.name: here for here, there in pairwise(steps)}

    def after(self, here: Step) -> Step | None:
        """The step behind this one; None behind the last."""
        return self._after.get(here.name)

    def before(self, here: Step) -> Step | None:
        """The step before this one; None before the first."""
        return self._before.get(here.name)


_DEFAULT: Final = Route(DEFAULT)


def step(name: StepName) -> Step:
    """The step of that name."""
    return _BY_NAME[name]


def route_of(order: Order) -> Route:
    """The route that this order takes."""
    return _DEFAULT if order.route is None else _route(order.route)


def route_named(names: str | None) -> Route:
    """The route with these names, between commas, as the order database keeps it; None is the default one."""
    return _DEFAULT if names is None else _route(tuple(map(StepName, names.split(","))))


@lru_cache(maxsize=64)
def _route(names: tuple[StepName, ...]) -> Route:
    return Route([_BY_NAME[name] for name in names])


def check(names: Iterable[StepName]) -> None:
    """`ValueError` if orders cannot take this route: compensatable steps, one pivot, then retriable ones, each once."""
    names = tuple(names)
    unknown = [name for name in names if name not in _BY_NAME]
    if unknown:
        raise ValueError(f"{unknown[0]} is no step; is its module in {VARIABLE}?")
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise ValueError(f"the route names {twice[0]} twice")
    kinds = [_BY_NAME[name].kind for name in names]
    if kinds.count(StepKind.PIVOT) != 1 or kinds != sorted(kinds, key=tuple(StepKind).index):
        told = ", ".join(f"{name} ({kind})" for name, kind in zip(names, kinds, strict=True))
        raise ValueError(
            f"the route is {told or 'empty'}; it must have compensatable steps, then exactly one pivot, then "
            "retriable steps"
        )
    if StepName.CAPTURE in names and StepName.PAYMENT not in names:
        raise ValueError("the route has capture, and no payment that authorises what it captures")


def is_captured_later(order: Order) -> bool:
    """True if the payment step only authorises, and a step behind the pivot takes the money."""
    return order.route is not None and StepName.CAPTURE in order.route


def start(order: Order, segment: str | None = None) -> Record:
    """Asks the first step for its action."""
    return _request(route_of(order).first.do, order, segment)


def abort(order: Order, reason: Reason, segment: str | None = None) -> Record:
    """Asks the pivot for its compensation: from there the compensations meet the order wherever it is."""
    return _request(route_of(order).pivot.compensation, order, segment, reason=reason, step=StepName.CHECKOUT)


def cancelled(order: Order, reason: Reason, segment: str | None = None) -> Record:
    """Ends an order as cancelled of which no step was asked for anything."""
    return records.OrderCancelled(
        order_id=order.order_id, reason=reason, step=StepName.CHECKOUT, segment=segment
    )


def send_on(here: Step, order: Order, segment: str | None = None) -> Record:
    """Asks the next step for its action, or ends the order as completed."""
    after = route_of(order).after(here)
    if after is None:
        return records.OrderCompleted.of(type="OrderCompleted", order_id=order.order_id, segment=segment)
    return _request(after.do, order, segment)


def send_back(
    here: Step, order: Order, reason: Reason, turned_at: StepName, segment: str | None = None
) -> Record:
    """Asks the step before for its compensation, or ends the order as cancelled."""
    before = route_of(order).before(here)
    if before is None:
        return records.OrderCancelled(order_id=order.order_id, reason=reason, step=turned_at, segment=segment)
    return _request(before.compensation, order, segment, reason=reason, step=turned_at)


def turn(here: Step, order: Order, reason: Reason, segment: str | None = None) -> Record:
    """The first record of the way back, where a step refuses.

    A payment that the customer has begun must be given up, also if its step was not reached: then the way back begins
    at the pivot, as for an order that is cancelled.
    """
    if order.payment_reference is not None and _is_before(here, StepName.PAYMENT, order):
        pivot = route_of(order).pivot
        return _request(pivot.compensation, order, segment, reason=reason, step=here.name)
    return send_back(here, order, reason, here.name, segment)


def _is_before(here: Step, later: StepName, order: Order) -> bool:
    names = [step.name for step in route_of(order).steps]
    return later in names and names.index(here.name) < names.index(later)


def _request(model: type[Do | Undo], order: Order, segment: str | None, **turned: StrEnum) -> Record:
    return model.of(type=model.__name__, order=order, segment=segment, **turned)  # type: ignore[return-value]
