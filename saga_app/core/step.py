"""A step of the saga as data: its action, its compensation, its table, and the words for people."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from saga_app.core.order import Order
from saga_app.core.records import Do, StepRequest, Undo
from saga_app.core.step_names import StepName


class StepKind(StrEnum):
    """The way back from a step that is done, if there is one.

    COMPENSATABLE: it is undone if a later step refuses. PIVOT: once it is done, the order only goes forward.
    RETRIABLE: it comes after the pivot, and is asked again until it is done.
    """

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


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
    and `undone` are words for people, as in "it was refunded".
    """

    name: StepName
    do: type[Do]
    undo: type[Undo] | None
    journal: str
    done: str
    undone: str
    key: Callable[[Order], str] = by_order
    kind: StepKind = StepKind.COMPENSATABLE

    @property
    def compensation(self) -> type[Undo]:
        """The record that asks for its compensation; only of a step that has one."""
        assert self.undo is not None
        return self.undo

    @property
    def requests(self) -> tuple[type[StepRequest], ...]:
        """The types of its records; what is never undone has one."""
        return (self.do,) if self.undo is None else (self.do, self.undo)
