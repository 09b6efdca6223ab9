"""Each order is one trace, sent with a real collector's protocol."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from saga_app.core.route import DEFAULT
from saga_app.orderdb.copy.projector import Projector
from saga_app.orderdb.database import Database
from saga_app.orderdb.traces.traceparent import traceparent
from saga_app.orderdb.traces.tracer import Tracer
from saga_app.settings import Settings
from tests.orderdb.batches import OrderCopy, batch
from tests.orderdb.collector import CollectedSpan, Collector, collecting
from tests.orderdb.filled import ORDERS
from tests.orderdb.services import Services
from tests.support.examples import cancel, deadline, delivery, deposit, placed

MUGS = [{"sku": "MUG", "quantity": 2}]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


class Traced:
    """An order database with a tracer of its orders, as the projector has it."""

    def __init__(self, copy: OrderCopy, url: str) -> None:
        self.copy = copy
        self.said: list[str] = []
        self.tracer = Tracer("saga", url, copy.database, self.said.append)
        self.services = Services()
        self.send(deposit("d1", "500.00", "ada"), delivery("v1", MUG=10))

    def send(self, *records: Any, headers: Any = (), copied: int | None = None) -> None:
        messages = self.services.send(*records)[:copied]
        messages[0]._all = (*messages[0]._all[:5], list(headers))
        self.copy.write(*messages)
        self.tracer.copied(batch(*messages))

    def flush(self) -> None:
        self.copy.run(self.tracer.flush)


@pytest.fixture
def traced(copy: OrderCopy, collector: Collector) -> Traced:
    return Traced(copy, collector.url)


def tree(spans: list[CollectedSpan]) -> None:
    """Asserts one trace with one root and all parents, and that no span begins before its parent."""
    by_id = {each.span: each for each in spans}
    assert len({each.trace for each in spans}) == 1 and len(by_id) == len(spans)
    (root,) = (each for each in spans if each.parent not in by_id)
    assert root.name == "order"
    for each in spans:
        assert each.start <= each.end <= root.end
        assert each is root or by_id[each.parent].start <= each.start


def test_a_completed_order_is_one_trace_through_all_services(traced: Traced, collector: Collector):
    traced.send(placed(lines=MUGS, customer_id="ada"))
    traced.flush()
    (spans,) = collector.traces().values()
    tree(spans)
    assert [each.name for each in spans] == [
        "order",
        "process checkout_events",
        "process payment_events",
        "process inventory_events",
        "process shipping_events",
        "process checkout_events",
    ]
    # Each one is caused by the one before.
    assert [each.parent for each in spans] == ["", *(each.span for each in spans[:-1])]
    assert spans[0].told == {"saga.order_id": "o1", "saga.outcome": "completed"}
    assert spans[2].told["saga.record"] == "PaymentRequested"
    assert spans[2].told["messaging.destination.name"] == "payment_events"


def test_what_was_undone_is_in_the_trace_in_the_order_in_which_it_ran(traced: Traced, collector: Collector):
    traced.send(placed(lines=MUGS, customer_id="ada", country="KP"))
    traced.flush()
    (spans,) = collector.traces().values()
    tree(spans)
    assert [each.told["saga.record"] for each in spans[4:]] == [
        "ShipmentRequested",
        "ReleaseRequested",
        "RefundRequested",
        "OrderCancelled",
    ]
    assert spans[0].told == {
        "saga.order_id": "o1",
        "saga.outcome": "cancelled",
        "saga.reason": "undeliverable",
        "saga.turned_at": "shipping",
    }


def test_whoever_placed_the_order_is_the_parent(traced: Traced, collector: Collector):
    traced.send(placed(), headers=[("traceparent", f"00-{TRACE}-{SPAN}-01".encode())])
    traced.flush()
    (spans,) = collector.traces().values()
    assert (spans[0].trace, spans[0].parent) == (TRACE, SPAN)
    tree(spans)


def test_the_parent_is_known_when_another_process_sends_the_trace_and_is_not_that_of_a_repeat(
    traced: Traced, collector: Collector
):
    traced.services.silent = {"shipping_events"}
    traced.send(
        placed(lines=MUGS, customer_id="ada"), headers=[("traceparent", f"00-{TRACE}-{SPAN}-01".encode())]
    )
    traced.send(
        placed(lines=MUGS, customer_id="ada"), headers=[("traceparent", f"00-{SPAN * 2}-{SPAN}-01".encode())]
    )
    traced.tracer = Tracer("saga", collector.url, traced.copy.database, traced.said.append)
    traced.services.silent = ()
    traced.send(cancel())
    traced.flush()
    (spans,) = collector.traces().values()
    assert (spans[0].trace, spans[0].parent) == (TRACE, SPAN)
    tree(spans)


def test_whoever_wants_no_trace_gets_none(traced: Traced, collector: Collector):
    traced.send(placed(), headers=[("traceparent", f"00-{TRACE}-{SPAN}-00".encode())])
    traced.send(placed("o2"))
    traced.flush()
    assert set(collector.traces()) == {"o2"}


def test_a_record_is_the_child_of_what_it_follows_from_whatever_came_between(
    traced: Traced, collector: Collector
):
    """An order that is nudged and cancelled on its way: both walk the route, and neither is taken for the other."""
    traced.services.silent = {"shipping_events"}
    traced.send(placed(lines=MUGS, customer_id="ada"))
    traced.send(deadline())
    traced.services.silent = ()
    traced.send(cancel())
    traced.flush()
    (spans,) = collector.traces().values()
    tree(spans)
    kinds = {each.span: each.told.get("saga.record", "order") for each in spans}
    found = {(kinds[each.span], kinds[each.parent]) for each in spans if each.parent}
    assert found == {
        ("OrderPlaced", "order"),
        ("DeadlinePassed", "order"),
        ("CancellationRequested", "order"),
        ("PaymentRequested", "OrderPlaced"),
        ("PaymentRequested", "DeadlinePassed"),
        ("ReservationRequested", "PaymentRequested"),
        ("ShipmentRequested", "ReservationRequested"),
        ("ShipmentCancellationRequested", "CancellationRequested"),
        ("ReleaseRequested", "ShipmentCancellationRequested"),
        ("RefundRequested", "ReleaseRequested"),
        ("OrderCancelled", "RefundRequested"),
    }


@pytest.mark.parametrize(
    "value", [b"", None, b"x", f"01-{TRACE}-{SPAN}-01".encode(), f"00-{'0' * 32}-{SPAN}-01".encode()]
)
def test_a_parent_that_is_none_is_left_out(value: bytes | None):
    assert traceparent([("traceparent", value)]) is None
    assert traceparent(None) is None


def test_an_order_that_is_copied_again_is_the_same_trace(traced: Traced, collector: Collector):
    traced.send(placed(lines=MUGS, customer_id="ada"))
    traced.flush()
    before, collector.spans = collector.spans, []
    traced.send(placed(lines=MUGS, customer_id="ada"))
    traced.tracer._waiting["o1"] = 1e12
    traced.flush()
    assert {each.span for each in before} < {each.span for each in collector.spans}
    (spans,) = collector.traces().values()
    tree(spans)


def test_an_order_is_sent_when_all_of_it_is_copied_and_not_before(traced: Traced, collector: Collector):
    messages = traced.services.send(placed(lines=MUGS, customer_id="ada"))
    of_checkout = [each for each in messages if each.topic() in ("checkout_events", "saga-orders-changelog")]
    for part in (of_checkout, [each for each in messages if each not in of_checkout]):
        traced.flush()
        assert not collector.spans
        traced.copy.write(*part)
        traced.tracer.copied(batch(*part))
    traced.flush()
    assert len(collector.spans) == 3 + len(DEFAULT)


def test_open_orders_are_not_sent(traced: Traced, collector: Collector):
    traced.services.silent = {"shipping_events"}
    traced.send(placed(lines=MUGS, customer_id="ada"))
    traced.flush()
    assert not collector.spans and not traced.tracer._waiting


def test_a_cancelled_order_tells_who_cancelled_it(traced: Traced, collector: Collector):
    traced.services.silent = {"shipping_events"}
    traced.send(placed(lines=MUGS, customer_id="ada"))
    traced.services.silent = ()
    traced.send(cancel())
    traced.flush()
    (spans,) = collector.traces().values()
    tree(spans)
    (asked,) = (each for each in spans if each.told.get("saga.record") == "CancellationRequested")
    assert asked.parent == spans[0].span


def test_a_collector_that_is_away_is_told_once_and_holds_nothing_up(traced: Traced, collector: Collector):
    collector.status = 400
    for number in range(3):
        traced.send(placed(f"o{number}"))
        traced.flush()
    assert len(traced.said) == 1 and "copying goes on" in traced.said[0]
    assert (traced.tracer.sent, traced.tracer.left_out) == (0, 3)
    collector.status = 200
    traced.send(placed("o9"))
    traced.flush()
    assert traced.tracer.sent == 1 and not traced.tracer._waiting


@pytest.mark.live
def test_every_order_of_a_real_worker_is_one_tree(filled: Settings, collector: Collector):
    async def run() -> Tracer:
        database = Database(filled.db_url)
        tracer = Tracer(filled.app_id, collector.url, database, print)
        try:
            await Projector(filled, database, print, tracer).run(asyncio.Event(), once=True)
            await tracer.flush()
            return tracer
        finally:
            await database.close()

    tracer = asyncio.run(run())
    traces = collector.traces()
    assert (tracer.sent, tracer.left_out, len(traces)) == (ORDERS, 0, ORDERS)
    for spans in traces.values():
        tree(spans)
    assert {spans[0].told["saga.outcome"] for spans in traces.values()} == {"completed", "cancelled"}
