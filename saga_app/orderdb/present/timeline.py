"""The timeline of an order, oldest record first, and the route that it took. No SQL here."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from saga_app import topics
from saga_app.core import labels
from saga_app.core.patience import is_last
from saga_app.core.records import StepName
from saga_app.core.route import CAPTURE, NAMED, STEPS
from saga_app.core.rows import State
from saga_app.kafka.messages import located
from saga_app.orderdb.present.order_status import BACK, GOING_BACK, OrderStatus, StepStatus

Row = Mapping[str, Any]
_REQUEST: Final = {step.name.value: step.do.__name__ for step in NAMED}
_DO: Final = {step.do.__name__: step.name.value for step in NAMED}
_UNDO: Final = {step.undo.__name__: step.name.value for step in STEPS if step.undo is not None}


class TimelineEntry(NamedTuple):
    """One record or dead letter: its time (Kafka's milliseconds), its text, and its place TOPIC:PARTITION:OFFSET."""

    at: int
    what: str
    place: str
    dead: bool = False
    #: A dead letter that was sent again or dismissed.
    settled: bool = False


class RouteStop(NamedTuple):
    """A step on the route: its state or None, the text for it, and its time if that is copied."""

    step: str
    state: State | None
    what: str
    at: int | None


class RouteTaken(NamedTuple):
    """The steps in the order of the route, and the compensated steps in the order in which they ran."""

    there: tuple[RouteStop, ...]
    back: tuple[RouteStop, ...]


def route(order: OrderStatus) -> RouteTaken:
    """The route of the order, as far as it is copied."""
    there = tuple(_there(step.name, order) for step in order.route.steps)
    back = [_back(step.name, order.steps.get(step.name)) for step in reversed(order.route.steps)]
    return RouteTaken(there, tuple(each for each in back if each is not None))


def timeline(
    events: Sequence[Row], letters: Sequence[Row], steps: Sequence[Row] = (), patience: int | None = None
) -> list[TimelineEntry]:
    """All events and dead letters, oldest first; by `steps`, a request that a step acted on says its outcome.

    By `patience`, that of the order, the last deadline says that it was given up.
    """
    decided = dict(_outcomes(steps))
    dead = {letter["id"]: letter for letter in letters}
    seen: Counter[str] = Counter()
    lines = []
    for event in events:
        seen[event["type"]] += 1
        again = " again" if seen[event["type"]] > 1 and event["type"] in {**_DO, **_UNDO} else ""
        came_of_it = decided.get((event["topic"], event["at_offset"]))
        letter = dead.pop(_place(event), None)
        parts = [
            f"{_of(event, patience)}{again}{_by(event)}",
            *([came_of_it] if came_of_it else []),
            *([_dead(letter)] if letter else []),
        ]
        settled = letter is not None and _is_settled(letter)
        lines.append(
            TimelineEntry(event["time"], ": ".join(parts), _place(event), letter is not None, settled)
        )
    lines += [
        TimelineEntry(each["time"], _dead(each), each["id"], dead=True, settled=_is_settled(each))
        for each in dead.values()
    ]
    return sorted(lines, key=lambda line: line.at)


def _there(step: str, order: OrderStatus) -> RouteStop:
    done = order.steps.get(step)
    if done is None:
        asked = order.first.get(_REQUEST[step])
        if asked is not None and not order.has_ended:
            return RouteStop(step, None, "asked, no answer yet", asked)
        return RouteStop(step, None, "not asked" if order.has_ended else "not asked yet", None)
    match done.state:
        case State.REFUSED:
            return RouteStop(step, done.state, f"refused: {labels.why(done.reason)}", done.at)
        case State.VOID:
            return RouteStop(step, done.state, "undone before it was asked", None)
        case State.DOING | State.CAPTURING:
            return RouteStop(step, done.state, "its provider is asked", done.at)
        case State.PREVENTING:
            return RouteStop(step, done.state, "its provider was asked", None)
    return RouteStop(step, State.DONE, labels.STEPS[step].done, done.at)


def _back(step: str, done: StepStatus | None) -> RouteStop | None:
    if done is not None and done.state in GOING_BACK:
        to = "to prevent it" if done.state is State.PREVENTING else "to undo it"
        return RouteStop(step, done.state, f"its provider is asked {to}", done.at)
    if done is None or done.state not in BACK - {State.REFUSED}:
        return None
    if done.state is State.VOID:
        return RouteStop(step, done.state, "nothing to undo", done.at)
    return RouteStop(step, done.state, labels.STEPS[step].undone, done.undone_at)


def _outcomes(steps: Sequence[Row]) -> Iterator[tuple[tuple[str, int], str]]:
    for row in steps:
        (step,) = (each for each in STEPS if each.name == row["service"])
        said, reason = labels.STEPS[step.name], labels.why(row["reason"])
        topic = topics.inbox(step.name)
        if row["done_at"] is not None:
            is_held = row["state"] in (State.CAPTURING, State.CAPTURED)
            yield (topic, row["done_at"]), labels.AUTHORISED if is_held else said.done
        if row["state"] == State.CAPTURED:
            yield (topic, row["version"]), CAPTURE.done
        if row["undone_at"] is not None:
            yield (topic, row["undone_at"]), said.undone
        if row["state"] == State.REFUSED:
            yield (topic, row["version"]), f"refused, {reason}"
        if row["state"] == State.VOID:
            yield (topic, row["version"]), "nothing to undo, and it will not act"


#: The records of a refund, which say nothing more than this.
_OF_REFUNDS: Final = {
    "RefundOpened": "a refund is asked for",
    "RepaymentRequested": f"{StepName.PAYMENT} is asked to give money back",
    "RestockRequested": f"{StepName.INVENTORY} is asked to take articles back",
    "RefundCompleted": f"{StepName.CHECKOUT} is told that the refund is completed",
    "RefundRefused": f"{StepName.CHECKOUT} is told that the refund is refused",
}


def _of(event: Row, patience: int | None) -> str:
    kind = event["type"]
    if kind in _DO:
        return f"{_DO[kind]} is asked to {labels.STEPS[_DO[kind]].do}"
    if kind in _UNDO:
        return f"{_UNDO[kind]} is asked to {labels.STEPS[_UNDO[kind]].undo}"
    match kind:
        case "OrderPlaced":
            return "placed"
        case "CancellationRequested":
            return "cancellation requested" + (f": {event['note']}" if event["note"] else "")
        case "StepAnswered":
            return f"the provider of {event['step']} says {event['note']}"
        case "DeadlinePassed":
            last = is_last(patience, event["attempt"])
            return f"no ending in time (try {event['attempt'] + 1}): {'given up' if last else 'asked again'}"
        case "OrderCompleted":
            return f"{StepName.CHECKOUT} is told that it is completed"
        case "OrderCancelled":
            why = labels.why(event["reason"])
            return f"{StepName.CHECKOUT} is told that it is cancelled: {why}, at {event['step']}"
    return _OF_REFUNDS.get(kind, str(kind))


def _by(event: Row) -> str:
    return f" (sent by {event['actor']})" if event.get("actor") else ""


def _dead(letter: Row) -> str:
    again = "; sent again" if letter["replays"] else ""
    dismissed = "".join(f"; dismissed: {each['note']}" for each in letter["dismissals"])
    return f"dead letter, {letter['reason']}: {letter['detail']}{again}{dismissed}"


def _is_settled(letter: Row) -> bool:
    return bool(letter["replays"] or letter["dismissals"])


def _place(event: Row) -> str:
    return located((event["topic"], event["partition"]), event["at_offset"])
