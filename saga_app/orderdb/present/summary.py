"""An order in plain words: one sentence that says where it is, why, and what happens next. No SQL here."""

from typing import NamedTuple

from saga_app.core import labels
from saga_app.core.records import StepName
from saga_app.core.route import ROUTE
from saga_app.core.rows import State, Status
from saga_app.orderdb.present.order_status import OrderStatus, Waits
from saga_app.times import clock


class Next(NamedTuple):
    """What happens if nothing comes until then (Kafka's time in milliseconds)."""

    at: int
    what: str


class Sentence(NamedTuple):
    """What to say of an order: without times, since when that is so, and what happens next by itself."""

    what: str
    since: int | None
    next: tuple[Next, ...] = ()

    def in_words(self, now: int) -> str:
        """All in one line, with times in UTC."""
        text = self.what if self.since is None else f"{self.what} since {clock(self.since, now)}"
        late = [
            f"overdue to be {each.what} since {clock(each.at, now)}" for each in self.next if each.at <= now
        ]
        comes = [f"{each.what} at {clock(each.at, now)}" for each in self.next if each.at > now]
        parts = [text, *late[:1], *([f"if nothing comes: {', '.join(comes)}"] if comes else [])]
        text = "; ".join(parts)
        return text if text.endswith(".") else f"{text}."


def sentence(standing: OrderStatus) -> Sentence:
    """Where the order is, why, and what happens next."""
    match standing.status:
        case Status.COMPLETED:
            return Sentence(_completed(standing), None)
        case Status.CANCELLED:
            return Sentence(_cancelled(standing), None)
    waits = standing.waits_for()
    assert waits is not None
    asked = standing.waits_since()
    since = max((standing.since, *standing.first.values())) if asked is None else asked
    where = f"{'on its way to' if asked is None else 'waiting for'} {waits.service} to {_act(waits)}"
    return Sentence(_capital(_turned(standing, waits) + where), since, tuple(_next(standing)))


def in_short(standing: OrderStatus) -> str:
    """For a list, beside the state: why it was cancelled, or what it waits for."""
    waits = standing.waits_for()
    if waits is not None:
        return f"waits for {waits.service}" + (
            " to undo" if waits.undoing and waits.service in labels.STEPS else ""
        )
    return labels.why(standing.reason) if standing.status is Status.CANCELLED else ""


def effects(standing: OrderStatus) -> tuple[list[str], list[str]]:
    """The steps whose effect stands, and those whose effect was undone, in the order in which it was."""
    stands = [step.name.value for step in ROUTE if standing.state(step.name) is State.DONE]
    undone = [step.name.value for step in reversed(ROUTE) if standing.state(step.name) is State.UNDONE]
    return stands, undone


def _completed(standing: OrderStatus) -> str:
    done = ", ".join(labels.STEPS[step.name].done for step in ROUTE)
    late = " It was too late to cancel it." if "CancellationRequested" in standing.first else ""
    return f"Completed: {done}.{late}"


def _cancelled(standing: OrderStatus) -> str:
    stands, undone = effects(standing)
    # A step's row may be older than the order's.
    undone = [step.name for step in reversed(ROUTE) if step.name in (*stands, *undone)]
    then = ", then ".join(f"{labels.STEPS[step].thing} was {labels.STEPS[step].undone}" for step in undone)
    return f"Cancelled: {labels.why(standing.reason)}. {_capital(then) if then else 'Nothing was paid or reserved'}."


def _act(waits: Waits) -> str:
    if waits.service == StepName.CHECKOUT:
        return f"note that it {'is cancelled' if waits.undoing else 'is completed'}"
    step = labels.STEPS[waits.service]
    return step.undo if waits.undoing else step.do


def _turned(standing: OrderStatus, waits: Waits) -> str:
    if standing.status is Status.CANCELLING and standing.is_past_pivot:
        return "Too late to cancel: the shipment is booked; "
    if not waits.undoing:
        return ""
    return f"Being cancelled ({labels.why(_reason(standing))}): "


def _reason(standing: OrderStatus) -> str | None:
    """Checkout's, or where it does not know yet that of the step which refused."""
    known = (done.reason for done in standing.steps.values() if done.reason is not None)
    return standing.reason or next(known, None)


def _next(standing: OrderStatus) -> list[Next]:
    again, undone = standing.asked_again_at(), standing.undone_from()
    found = [] if again is None else [Next(again, "asked again")]
    if undone is not None:
        if undone == again:
            return [Next(undone, "undone")]
        found.append(Next(undone, "undone"))
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
