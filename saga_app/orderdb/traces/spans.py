"""One order as a trace: a span for the order, and below it a span for each record, from cause to effect.

The copied records decide everything, ids too: an order that is exported again is the same trace. Times are Kafka's.
Names and attributes follow OpenTelemetry's semantic conventions for messaging (operation and destination).
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from saga_app import topics
from saga_app.core.route import Route
from saga_app.core.rows import State, Status
from saga_app.core.step import StepKind
from saga_app.orderdb.present.order_status import StepStatus
from saga_app.orderdb.queries.order import OrderDetails
from saga_app.orderdb.traces.traceparent import Parent

#: Records that no step has caused. The first two make checkout ask the first step. Each of them may make checkout
#: cancel: an order that is placed again while it is being cancelled is asked to undo again.
_FROM_OUTSIDE: Final = ("OrderPlaced", "DeadlinePassed", "CancellationRequested")
_MILLISECOND: Final = 1_000_000


def _causes(route: Route) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each type of record, and the types that can cause it; see `core.route`."""
    do = [step.do.__name__ for step in route.steps]
    undo = [step.compensation.__name__ for step in route.steps if step.kind is not StepKind.RETRIABLE]
    pivot = len(undo)
    # A cancellation that comes too late makes the pivot send the order on again, and so do checkout's own repeats.
    late = [(each, undo[-1]) if place == pivot else (each,) for place, each in enumerate(do, 1)]
    yield from zip(do, [_FROM_OUTSIDE[:2], *late[:-1]], strict=True)
    # The next step asks for it when it has undone or refused; checkout asks the pivot when it cancels.
    yield from zip(undo, [*zip(undo[1:], do[1:pivot], strict=True), _FROM_OUTSIDE], strict=True)
    yield "OrderCompleted", late[-1]
    yield "OrderCancelled", (do[0], undo[0])


def resource(app_id: str) -> Resource:
    """The resource of all spans: the application, whichever of its workers decided."""
    return Resource({"service.name": app_id})


def is_whole(found: OrderDetails) -> bool:
    """True if the order has ended and all its records are copied: topics are copied independently."""
    order = found.status
    if order is None or not order.has_ended:
        return False
    done = order.status is Status.COMPLETED
    names = [step.name.value for step in order.route.steps]
    # The step that refused was the last one asked. If checkout cancelled, all steps were asked to undo.
    reached = names[: names.index(order.step) + 1] if order.step in names else names
    steps = [order.steps.get(name) for name in (names if done else reached)]
    return ("OrderCompleted" if done else "OrderCancelled") in order.first and all(map(_is_dated, steps))


def _is_dated(step: StepStatus | None) -> bool:
    if step is None or step.at is None:
        return False
    return step.state is not State.UNDONE or step.undone_at is not None


def parent_of(found: OrderDetails) -> Parent | None:
    """The parent span of the record that placed this order; repeats of that record do not count."""
    order = found.order or {}
    place = (topics.CHECKOUT, order.get("partition"), order.get("placed_offset"))
    for event in found.events:
        if (event["topic"], event["partition"], event["at_offset"]) == place:
            return Parent.of(event["traceparent"])
    return None


def spans(found: OrderDetails, app_id: str, source: Resource) -> Iterator[ReadableSpan]:
    """The spans of an order that has ended; none if its parent is not sampled."""
    order, status, parent = found.order, found.status, parent_of(found)
    assert order is not None and status is not None and status.ended_at is not None
    if parent is not None and not parent.sampled:
        return
    identity = f"{app_id}/{order['partition']}/{order['placed_offset']}/{found.order_id}"
    trace = parent.trace if parent else _number(identity, 16)
    root = _context(trace, f"{identity}/order")
    above = parent and SpanContext(parent.trace, parent.span, is_remote=True, trace_flags=_SAMPLED)
    last = max([status.ended_at, *(event["time"] for event in found.events)])
    outcome = {"saga.reason": status.reason, "saga.turned_at": status.step}
    yield _span(
        "order",
        root,
        above or None,
        source,
        {"saga.order_id": found.order_id, "saga.outcome": status.status.lower(), **outcome},
        (status.placed_at, last),
        SpanKind.INTERNAL,
    )
    causes = dict(_causes(status.route))
    latest: dict[str, tuple[int, SpanContext]] = {}
    for number, event in enumerate(found.events):
        context = _context(trace, f"{identity}/{event['topic']}/{event['partition']}/{event['at_offset']}")
        following = found.events[number + 1]["time"] if number + 1 < len(found.events) else last
        yield _span(
            f"process {event['topic']}",
            context,
            _cause(event["type"], causes, latest) or root,
            source,
            _attributes(event),
            (event["time"], following),
            SpanKind.CONSUMER,
        )
        latest[event["type"]] = number, context


def _cause(
    kind: str, causes: Mapping[str, tuple[str, ...]], latest: Mapping[str, tuple[int, SpanContext]]
) -> SpanContext | None:
    """The last record before this one that can have caused it; None if it comes from outside."""
    known = [latest[each] for each in causes.get(kind, ()) if each in latest]
    return max(known, key=lambda each: each[0])[1] if known else None


def _attributes(event: Mapping[str, Any]) -> dict[str, Any]:
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
    """An id of so many bytes; never 0, which OpenTelemetry does not allow."""
    return int.from_bytes(sha256(identity.encode()).digest()[:size], "big") or 1
