"""The summary of an order: one sentence that says where it is, why, and what happens next. No SQL here."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, NamedTuple

from saga_app.core import labels
from saga_app.core.records import StepName
from saga_app.core.rows import State, Status
from saga_app.orderdb.present.order_status import OrderStatus, Waits
from saga_app.times import clock


class Next(NamedTuple):
    """The next thing that happens by itself, and when (Kafka's time in milliseconds)."""

    at: int
    what: str


class Sentence(NamedTuple):
    """The summary without times, the time since which it is true, and what happens next by itself."""

    what: str
    since: int | None
    next: tuple[Next, ...] = ()

    def in_words(self, now: int, zone: tzinfo = UTC) -> str:
        """The summary in one line, with times in this zone."""
        text = self.what if self.since is None else f"{self.what} since {clock(self.since, now, zone)}"
        late = [
            f"overdue to be {each.what} since {clock(each.at, now, zone)}"
            for each in self.next
            if each.at <= now
        ]
        comes = [f"{each.what} at {clock(each.at, now, zone)}" for each in self.next if each.at > now]
        parts = [text, *late[:1], *([f"if nothing comes: {', '.join(comes)}"] if comes else [])]
        text = "; ".join(parts)
        return text if text.endswith(".") else f"{text}."


def sentence(order: OrderStatus) -> Sentence:
    """The summary of this order."""
    match order.status:
        case Status.COMPLETED:
            return Sentence(_completed(order), None)
        case Status.CANCELLED:
            return Sentence(_cancelled(order), None)
    waits = order.waits_for()
    assert waits is not None
    asked = order.waits_since()
    since = max((order.since, *order.first.values())) if asked is None else asked
    whom = f"the provider of {waits.service}" if order.is_asked(waits.service) else waits.service
    where = f"{'on its way to' if asked is None else 'waiting for'} {whom} to {_act(waits)}"
    return Sentence(_capital(_turned(order, waits) + where), since, tuple(_next(order)))


def untaken_in_words(row: Mapping[str, Any], now: int, zone: tzinfo = UTC) -> str:
    """The sentence about an order that no worker has taken, from its row of `queries.untaken`."""
    return f"Placed at {clock(row['placed_at'], now, zone)}; no worker has taken it yet."


def cancelled_first_in_words(at: int, now: int, zone: tzinfo = UTC) -> str:
    """The sentence about an order that was cancelled at this time and is not placed yet."""
    return (
        f"Cancelled at {clock(at, now, zone)}, before it was placed: when the order comes, it is cancelled."
    )


def listed_in_short(row: Mapping[str, Any]) -> str:
    """`in_short` of a row of a list; also of an order that no worker has taken."""
    return "waits for a worker" if row["status"] == labels.PLACED else in_short(OrderStatus.of_listed(row))


def listed_reason(row: Mapping[str, Any]) -> str:
    """Why an order of a list turned round, in words; empty if it did not."""
    return "" if row["reason"] is None else labels.why(row["reason"])


def listed_waits_for(row: Mapping[str, Any]) -> str:
    """The service that an order of a list waits for; empty if it has ended."""
    if row["status"] == labels.PLACED:
        return "a worker"
    waits = OrderStatus.of_listed(row).waits_for()
    if waits is None:
        return ""
    return f"{waits.service}, to undo" if waits.undoing and waits.service in labels.STEPS else waits.service


def amount(row: Mapping[str, Any]) -> str:
    """The amount of an order of a list; empty if no worker has taken it, since its row is not there."""
    return "" if row["amount"] is None else f"{row['amount']:,} {row['currency']}"


def in_short(order: OrderStatus) -> str:
    """For a list, beside the state: why it was cancelled, or what it waits for."""
    waits = order.waits_for()
    if waits is not None:
        return f"waits for {waits.service}" + (
            " to undo" if waits.undoing and waits.service in labels.STEPS else ""
        )
    return labels.why(order.reason) if order.status is Status.CANCELLED else ""


def effects(order: OrderStatus) -> tuple[list[str], list[str]]:
    """The steps that are done, and the steps that were compensated, each in the order in which that happened."""
    stands = [step.name.value for step in order.route.steps if order.state(step.name) is State.DONE]
    undone = [
        step.name.value for step in reversed(order.route.steps) if order.state(step.name) is State.UNDONE
    ]
    return stands, undone


def _completed(order: OrderStatus) -> str:
    done = ", ".join(labels.STEPS[step.name].done for step in order.route.steps)
    late = " It was too late to cancel it." if "CancellationRequested" in order.first else ""
    return f"Completed: {done}.{late}"


def _cancelled(order: OrderStatus) -> str:
    stands, undone = effects(order)
    # A step's row may be older than the order's.
    undone = [step.name for step in reversed(order.route.steps) if step.name in (*stands, *undone)]
    then = ", then ".join(f"{labels.STEPS[step].thing} was {labels.STEPS[step].undone}" for step in undone)
    return f"Cancelled: {labels.why(order.reason)}. {_capital(then) if then else 'Nothing was paid or reserved'}."


def _act(waits: Waits) -> str:
    if waits.service == StepName.CHECKOUT:
        return f"note that it {'is cancelled' if waits.undoing else 'is completed'}"
    step = labels.STEPS[waits.service]
    return step.undo if waits.undoing else step.do


def _turned(order: OrderStatus, waits: Waits) -> str:
    if order.status is Status.CANCELLING and order.is_past_pivot:
        return "Too late to cancel: the shipment is booked; "
    if not waits.undoing:
        return ""
    return f"Being cancelled ({labels.why(_reason(order))}): "


def _reason(order: OrderStatus) -> str | None:
    """Checkout's reason, or that of the step which refused if checkout's row does not have it yet."""
    known = (done.reason for done in order.steps.values() if done.reason is not None)
    return order.reason or next(known, None)


def _next(order: OrderStatus) -> list[Next]:
    again, undone = order.asked_again_at(), order.undone_from()
    found = [] if again is None else [Next(again, "asked again")]
    if undone is not None:
        if undone == again:
            return [Next(undone, "undone")]
        found.append(Next(undone, "undone"))
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
