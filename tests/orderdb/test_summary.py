"""The summary of an order, for every state that the rules can reach. No database here."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from saga_app import topics
from saga_app.core import checkout, labels, patience
from saga_app.core.records import Reason
from saga_app.core.route import DEFAULT, SEQUENCE
from saga_app.core.rows import State, Status
from saga_app.orderdb import schema
from saga_app.orderdb.copy.table_rows import TABLES
from saga_app.orderdb.present.order_status import OrderStatus
from saga_app.orderdb.present.summary import sentence
from saga_app.orderdb.present.timeline import route, timeline
from saga_app.times import clock
from tests.orderdb.batches import FakeMessage, batch
from tests.simulation import one_order
from tests.simulation.services import DECIDERS
from tests.support.examples import CAPTURED_LATER, cancel, deadline, placed
from tests.support.given import BEGINNING, CHECKOUT, Story, given
from tests.support.quick import quick

NOW = 1_700_000_100_000
SECOND = 1_000


def copied(rows: Iterator[tuple[tuple[str, str], bytes]]) -> OrderStatus:
    """The status of order o1, from the rows of the services as the order database copies them."""
    messages = (
        FakeMessage(topics.changelog("saga", table), 0, row, key.encode()) for (table, key), row in rows
    )
    tables = batch(*messages).tables
    (order,) = tables[schema.orders].values()
    return OrderStatus.of(order, tables[schema.order_steps].values(), ())


def order_status(status: Status, *states: State | None, **fields: Any) -> OrderStatus:
    """An order whose steps are in these states."""
    steps = [
        {
            "service": step.name,
            "state": state,
            "reason": None,
            "step": None,
            "version": 3,
            "done_at": 3,
            "undone_at": 4,
        }
        for step, state in zip(DEFAULT, states, strict=False)
        if state is not None
    ]
    order = {
        "order_id": "o1",
        "reason": None,
        "step": None,
        "tries": 0,
        "since": NOW,
        "placed_at": NOW,
        "route": None,
        "ended_at": None,
    }
    return OrderStatus.of({**order, "status": status, **fields}, steps, ())


class Telling(one_order.Exploration):
    """Checks the summary in every state of one order."""

    told: set[str]

    def check(self, state: one_order.OrderState) -> None:
        super().check(state)
        found = copied(pair for rows in state.rows for pair in rows)
        said = sentence(found).in_words(NOW)
        self.told.add(said.partition(" since")[0])
        ends = [found.state(step.name) for step in DEFAULT]
        if found.status is Status.COMPLETED:
            assert said == "Completed: paid, reserved, shipment booked."
        elif found.status is Status.CANCELLED:
            undone = [DEFAULT[at] for at in (2, 1, 0) if ends[at] is State.UNDONE]
            parts = [
                f"{labels.STEPS[step.name].thing} was {labels.STEPS[step.name].undone}" for step in undone
            ]
            then = ", then ".join(parts) or "nothing was paid or reserved"
            assert said.lower() == f"cancelled: {labels.why(found.reason)}. {then}.".lower()
        else:
            self._waits_for_what_is_on_its_way(state, found)

    def _waits_for_what_is_on_its_way(self, state: one_order.OrderState, found: OrderStatus) -> None:
        waits = found.waits_for()
        assert waits is not None
        if state.budget.losses == self.budget.losses:
            on_its_way = {(topics.topic_of(record), record.type) for record in state.on_its_way}
            assert (f"{waits.service}_events", waits.request) in on_its_way


@pytest.mark.parametrize(
    "name",
    quick(one_order.ORDERS, "over_limit", mark=pytest.mark.slow("every state of other orders")),
)
def test_in_every_state_the_sentence_names_what_is_on_its_way_or_what_was_undone(name: str):
    order = Telling(name, one_order.Budget())
    order.told = set()
    assert order.run() > 3_000
    assert len(order.told) > 8


def test_whatever_is_copied_first_there_is_a_sentence():
    for status, *states in product(Status, *[[None, *State]] * 3):
        found = order_status(status, *states, reason="requested")
        said = sentence(found).in_words(NOW)
        assert said.endswith(".") and "None" not in said and (found.has_ended or "asked again" in said)
        assert len(route(found).there) == 3


def test_an_order_whose_way_back_began_at_the_pivot_waits_for_the_steps_that_were_never_asked():
    refused = order_status(Status.OPEN, None, State.REFUSED, route="inventory,payment,shipping")
    begun = refused._replace(first={"ShipmentCancellationRequested": NOW})
    waits = begun.waits_for()
    assert waits is not None and waits.service == "shipping" and waits.undoing
    void = begun.steps["inventory"]._replace(state=State.VOID)
    for steps, service in (
        ({"shipping": void}, "payment"),
        ({"shipping": void, "payment": void}, "checkout"),
    ):
        waits = begun._replace(steps={**begun.steps, **steps}).waits_for()
        assert waits is not None and waits.service == service


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason):
    assert labels.why(reason) != reason and "_" not in labels.why(reason)


def test_a_reason_that_is_not_known_here_is_shown_as_it_is():
    told = sentence(order_status(Status.CANCELLED, State.REFUSED, reason="moon_phase")).in_words(NOW)
    assert told == "Cancelled: moon_phase. Nothing was paid or reserved."


def story(*records: Any) -> tuple[Story, OrderStatus]:
    told = given(CHECKOUT, *records)
    return told, copied(iter(told.rows.bytes.items()))


@pytest.mark.parametrize("seconds", [None, 10, 3_600])
def test_an_order_that_nobody_answers_is_asked_again_and_undone_at_the_times_that_were_told(
    seconds: int | None,
):
    told, found = story(placed(patience=seconds))
    promised = found.undone_from()
    assert promised == BEGINNING + (seconds or patience.DEFAULT) * SECOND
    while found.status is Status.OPEN:
        assert found.undone_from() == promised
        due = found.asked_again_at()
        assert due is not None
        nudge = checkout.deadline("o1", told.order())
        told.when(nudge, (due - BEGINNING) // SECOND)
        found = copied(iter(told.rows.bytes.items()))
    assert found.tries == patience.tries(seconds) and found.since == promised
    assert found.undone_from() is None and (found.asked_again_at() or 0) > promised


def test_an_order_that_was_nudged_late_is_told_to_be_overdue():
    _, found = story(placed())
    told = sentence(found).in_words(BEGINNING + 40_000)
    assert "; overdue to be asked again since 22:13:50; if nothing comes: undone at" in told


def test_after_the_last_nudge_before_giving_up_only_one_thing_comes_next():
    _, found = story(placed(), *(deadline(attempt=at) for at in range(4)))
    (only,) = sentence(found).next
    assert only.what == "undone"


def test_being_cancelled_says_why_and_what_it_waits_for():
    _, found = story(placed(), cancel())
    assert (
        sentence(found).what
        == "Being cancelled (on request): on its way to shipping to call the shipment off"
    )


def test_a_time_of_another_day_has_its_date_and_of_another_year_that_too():
    day = 24 * 3600 * SECOND
    assert clock(NOW, NOW) == "22:15:00"
    assert clock(NOW, NOW + day) == "11-14 22:15:00"
    assert clock(NOW, NOW + 365 * day) == "2023-11-14 22:15:00"


def test_every_journal_that_the_order_database_copies_is_a_step_of_the_route():
    assert {decider.journal for decider in DECIDERS.values()} - {"orders"} == TABLES.keys() - {
        "orders",
        "accounts",
        "stock",
    }


def event(kind: str, offset: int, **told: Any) -> dict[str, Any]:
    return {
        "topic": "t", "partition": 0, "at_offset": offset, "time": offset, "type": kind,
        "reason": None, "step": None, "attempt": None, "note": None, **told,
    }  # fmt: skip


def test_every_type_of_record_has_words_in_the_timeline():
    events = [
        event(kind, at, reason="requested", step="checkout", attempt=at, note="done")
        for at, kind in enumerate(SEQUENCE)
    ]
    lines = timeline(events, ())
    assert [line.at for line in lines] == list(range(len(SEQUENCE)))
    assert not {line.what for line in lines} & set(SEQUENCE)
    assert all("None" not in line.what for line in lines)


def test_the_timeline_says_which_request_a_step_acted_on_and_which_were_repeats():
    steps = [
        {
            "service": "payment",
            "state": "UNDONE",
            "reason": "requested",
            "done_at": 2,
            "undone_at": 5,
            "version": 5,
        }
    ]
    events = [
        event(kind, at, topic="payment_events")
        for kind, at in (("PaymentRequested", 2), ("PaymentRequested", 4), ("RefundRequested", 5))
    ]
    letters = [
        {
            "time": 3,
            "reason": "invalid",
            "detail": "no amount",
            "id": "t:0:3",
            "replays": [],
            "dismissals": [],
        }
    ]
    assert [line.what for line in timeline(events, letters, steps)] == [
        "payment is asked to take the payment: paid",
        "dead letter, invalid: no amount",
        "payment is asked to take the payment again",
        "payment is asked to refund the payment: refunded",
    ]


def test_the_way_back_stands_in_the_order_in_which_it_ran():
    found = route(order_status(Status.CANCELLED, State.UNDONE, State.UNDONE, State.REFUSED))
    assert [stop.step for stop in found.there] == ["payment", "inventory", "shipping"]
    assert [(stop.step, stop.what) for stop in found.back] == [
        ("inventory", "released"),
        ("payment", "refunded"),
    ]


def captured_later(status: Status, payment: State, shipping: State | None = State.DONE) -> OrderStatus:
    """An order that is captured when it is shipped."""
    named = ",".join(CAPTURED_LATER)
    return order_status(status, payment, State.DONE, shipping, route=named)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            captured_later(Status.OPEN, State.DONE, None),
            "On its way to shipping to book the shipment",
        ),
        (captured_later(Status.OPEN, State.DONE), "On its way to capture to capture the payment"),
        (
            captured_later(Status.OPEN, State.CAPTURING),
            "On its way to the provider of capture to capture the payment",
        ),
        (
            captured_later(Status.CANCELLING, State.CAPTURING),
            "Too late to cancel: the shipment is booked; on its way to the provider of capture to capture the payment",
        ),
        (captured_later(Status.OPEN, State.CAPTURED), "On its way to checkout to note that it is completed"),
        (
            captured_later(Status.COMPLETED, State.CAPTURED),
            "Completed: paid, reserved, shipment booked, captured",
        ),
        # It was paid out of an account.
        (
            captured_later(Status.COMPLETED, State.DONE),
            "Completed: paid, reserved, shipment booked, captured",
        ),
    ],
)
def test_an_order_that_is_captured_behind_the_pivot_waits_for_its_capture(
    found: OrderStatus, words: str
) -> None:
    assert sentence(found).in_words(NOW).startswith(words)


def test_the_route_of_an_order_that_is_captured_later_has_its_capture() -> None:
    stops = {each.step: each for each in route(captured_later(Status.OPEN, State.CAPTURING)).there}
    assert stops["payment"].state is State.DONE
    assert (stops["capture"].state, stops["capture"].what) == (State.CAPTURING, "its provider is asked")
    assert route(captured_later(Status.OPEN, State.CAPTURING)).back == ()
