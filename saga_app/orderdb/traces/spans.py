"""One order as a trace: a span for the order, and below it one for each record, from cause to effect.

Everything follows from the copied records: ids too, so an order that is exported again is the same trace. Times are
Kafka's. Names and attributes: OpenTelemetry's semantic conventions for messaging (operation and destination).
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from saga_app import topics
from saga_app.core.route import ROUTE
from saga_app.core.rows import State, Status
from saga_app.orderdb.present.order_status import StepStatus
from saga_app.orderdb.queries.order import OrderDetails
from saga_app.orderdb.traces.traceparent import Parent

#: Nobody of the route has asked for these. Checkout asks the first step because of the two first, and cancels because
#: of any (an order that is placed again while it is being cancelled is asked to undo again).
_FROM_OUTSIDE: Final = ("OrderPlaced", "DeadlinePassed", "CancellationRequested")
_MILLISECOND: Final = 1_000_000


def _causes() -> Iterator[tuple[str, tuple[str, ...]]]:
    """What each type of record can follow from; see `core.route`."""
    do = [step.do.__name__ for step in ROUTE]
    undo = [step.undo.__name__ for step in ROUTE]
    yield from zip(do, [_FROM_OUTSIDE[:2], *((each,) for each in do[:-1])], strict=True)
    # Each is asked by the step behind it, which has undone or refused; the last by checkout, which cancels.
    yield from zip(undo, [*zip(undo[1:], do[1:], strict=True), _FROM_OUTSIDE], strict=True)
    # A cancellation that comes too late is told that the order is completed; checkout's own repeats tell it again.
    yield "OrderCompleted", (do[-1], undo[-1])
    yield "OrderCancelled", (do[0], undo[0])


_CAUSES: Final[Mapping[str, tuple[str, ...]]] = dict(_causes())


def resource(app_id: str) -> Resource:
    """Who tells: the saga, whichever of its workers decided."""
    return Resource({"service.name": app_id})


def is_whole(found: OrderDetails) -> bool:
    """Whether all is copied that belongs to an order that has ended: rows come one topic after the other."""
    standing = found.standing
    if standing is None or not standing.has_ended:
        return False
    done = standing.status is Status.COMPLETED
    names = [step.name.value for step in ROUTE]
    # A refusal came from the last step that was asked; who was asked to undo from the end has asked all.
    reached = names[: names.index(standing.step) + 1] if standing.step in names else names
    steps = [standing.steps.get(name) for name in (names if done else reached)]
    return ("OrderCompleted" if done else "OrderCancelled") in standing.first and all(map(_is_dated, steps))


def _is_dated(step: StepStatus | None) -> bool:
    if step is None or step.at is None:
        return False
    return step.state is not State.UNDONE or step.undone_at is not None


def parent_of(found: OrderDetails) -> Parent | None:
    """The span of whoever placed this order; a repeat of it does not count."""
    order = found.order or {}
    place = (topics.CHECKOUT, order.get("partition"), order.get("placed_offset"))
    for event in found.events:
        if (event["topic"], event["partition"], event["at_offset"]) == place:
            return Parent.of(event["traceparent"])
    return None


def spans(found: OrderDetails, app_id: str, source: Resource) -> Iterator[ReadableSpan]:
    """The spans of an order that has ended; none if whoever placed it wants none."""
    order, standing, parent = found.order, found.standing, parent_of(found)
    assert order is not None and standing is not None and standing.ended_at is not None
    if parent is not None and not parent.sampled:
        return
    identity = f"{app_id}/{order['partition']}/{order['placed_offset']}/{found.order_id}"
    trace = parent.trace if parent else _number(identity, 16)
    root = _context(trace, f"{identity}/order")
    above = parent and SpanContext(parent.trace, parent.span, is_remote=True, trace_flags=_SAMPLED)
    last = max([standing.ended_at, *(event["time"] for event in found.events)])
    outcome = {"saga.reason": standing.reason, "saga.turned_at": standing.step}
    yield _span(
        "order",
        root,
        above or None,
        source,
        {"saga.order_id": found.order_id, "saga.outcome": standing.status.lower(), **outcome},
        (standing.placed_at, last),
        SpanKind.INTERNAL,
    )
    latest: dict[str, tuple[int, SpanContext]] = {}
    for number, event in enumerate(found.events):
        context = _context(trace, f"{identity}/{event['topic']}/{event['partition']}/{event['at_offset']}")
        following = found.events[number + 1]["time"] if number + 1 < len(found.events) else last
        yield _span(
            f"process {event['topic']}",
            context,
            _cause(event["type"], latest) or root,
            source,
            _told(event),
            (event["time"], following),
            SpanKind.CONSUMER,
        )
        latest[event["type"]] = number, context


def _cause(kind: str, latest: Mapping[str, tuple[int, SpanContext]]) -> SpanContext | None:
    """The last record before this one that it can follow from; None for what comes from outside."""
    known = [latest[each] for each in _CAUSES.get(kind, ()) if each in latest]
    return max(known, key=lambda each: each[0])[1] if known else None


def _told(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": event["topic"],
        "messaging.destination.partition.id": str(event["partition"]),
        "messaging.kafka.offset": event["at_offset"],
        "saga.order_id": event["order_id"],
        "saga.record": event["type"],
        "saga.reason": event["reason"],
    }


def _span(
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    source: Resource,
    attributes: Mapping[str, Any],
    times: tuple[int, int],
    kind: SpanKind,
) -> ReadableSpan:
    return ReadableSpan(
        name,
        context=context,
        parent=parent,
        resource=source,
        attributes={key: value for key, value in attributes.items() if value is not None},
        kind=kind,
        start_time=times[0] * _MILLISECOND,
        end_time=max(times) * _MILLISECOND,
    )


_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


def _context(trace: int, identity: str) -> SpanContext:
    return SpanContext(trace, _number(identity, 8), is_remote=False, trace_flags=_SAMPLED)


def _number(identity: str, size: int) -> int:
    """Never 0, which is no id."""
    return int.from_bytes(sha256(identity.encode()).digest()[:size], "big") or 1
