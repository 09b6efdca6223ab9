"""Orders over HTTP: place, wait, the same again, another content, cancel, list."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from saga_app import wire
from saga_app.api.placing import MOST_WAITING
from saga_app.api.waits import preferred_wait
from saga_app.client.outcomes import SeenOrder
from saga_app.client.publisher import QueueFull
from saga_app.client.results import OrderEnding
from saga_app.core.errors import Fault
from saga_app.core.records import OrderPlaced
from saga_app.core.rows import Status
from saga_app.kafka.sender import DeliveryUnknown
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.orderdb.queries.known import KnownOrder
from saga_app.times import now
from tests.api.door import ORDER, Door, opened
from tests.web.shop import FilledShop

#: An order of `FilledShop`, as it was placed.
KNOWN: dict[str, Any] = {
    "order_id": "o-1",
    "amount": "10.00",
    "customer_id": "ada",
    "lines": [{"sku": "MUG", "quantity": 2}],
}


def test_an_order_is_accepted_when_the_broker_has_it_and_its_address_is_told(door: Door):
    answer = door.place()
    assert (answer.status_code, answer.headers["Location"]) == (202, "/v1/orders/new-1")
    assert answer.json() == {"order_id": "new-1", "order": "/v1/orders/new-1"}
    ((record, actor, _),) = door.broker.taken
    assert isinstance(record, OrderPlaced) and record.order_id == "new-1"
    assert actor == "api testclient"


def test_who_waits_gets_the_ending_itself(door: Door):
    door.ends_at_once()
    answer = door.place(Prefer="wait=10")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=10")
    assert answer.json()["status"] == "COMPLETED" and answer.json()["ended_at"] == "2023-11-14T22:13:20.000Z"


def test_who_has_waited_long_enough_is_told_where_to_ask(door: Door):
    began = time.monotonic()
    answer = door.place(Prefer="wait=1")
    assert answer.status_code == 202 and time.monotonic() - began >= 1


def test_an_ending_that_comes_before_the_broker_has_answered_is_not_missed(door: Door):
    door.broker.then = lambda record, sent: door.outcomes.end("new-1")
    assert door.place(Prefer="wait=10").status_code == 200


def test_the_same_content_again_is_sent_again_and_gets_the_same_answer(door: Door):
    door.ends_at_once()
    first = door.place(Prefer="wait=10")
    door.broker.then = lambda record, sent: None
    again = door.place({**ORDER, "amount": 25}, Prefer="wait=10")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(door.broker.taken) == 2


def test_an_order_that_ended_before_this_process_began_is_answered_from_the_order_database(door: Door):
    answer = door.place(KNOWN, Prefer="wait=10")
    assert answer.status_code == 200 and answer.json()["status"] == "COMPLETED"
    assert door.ask("GET", "/v1/orders/o-1").json()["ended_at"] == answer.json()["ended_at"]


def test_another_content_under_a_copied_id_is_refused_and_not_sent(door: Door):
    answer = door.place({**KNOWN, "amount": "11.00"})
    assert (answer.status_code, answer.json()["code"]) == (409, "different_content")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not door.broker.taken


def test_another_content_under_an_id_that_was_just_placed_is_refused(door: Door):
    assert door.place().status_code == 202
    assert door.place({**ORDER, "amount": "26.00"}).status_code == 409
    assert len(door.broker.taken) == 1


def test_another_content_than_the_one_that_another_process_has_placed_is_refused(door: Door):
    door.outcomes.take([SeenOrder("new-1", wire.encode(OrderPlaced(order_id="new-1", amount=Decimal(24))))])
    assert door.place().status_code == 409
    assert not door.broker.taken


def test_an_ending_that_may_be_of_another_content_does_not_answer(door: Door):
    """The order was placed before this process began, and is not copied."""
    door.outcomes.end("new-1")
    door.broker.then = lambda record, sent: door.outcomes.refuse(sent, Fault.DIFFERENT_CONTENT)
    assert door.place(Prefer="wait=10").status_code == 409


def test_the_ending_of_an_order_whose_content_is_not_copied_does_not_answer(
    door: Door, monkeypatch: pytest.MonkeyPatch
):
    async def found(order_id: str) -> KnownOrder:
        return KnownOrder(None, OrderEnding(order_id, Status.COMPLETED, now()))

    monkeypatch.setattr(door.desk, "_known", found)
    door.broker.then = lambda record, sent: door.outcomes.refuse(sent, Fault.DIFFERENT_CONTENT)
    assert door.place(Prefer="wait=10").status_code == 409


def test_an_ending_answers_only_if_this_content_was_the_first_to_be_heard(door: Door):
    first = wire.encode(OrderPlaced(order_id="new-1", amount=Decimal(24)))
    door.broker.hears = lambda record: door.outcomes.take([SeenOrder("new-1", first)])
    door.ends_at_once()
    assert door.place(Prefer="wait=10").status_code == 409
    door.broker.hears = lambda record: None
    assert door.place({**ORDER, "order_id": "new-2"}, Prefer="wait=10").status_code == 202


def test_a_payment_is_a_content_of_its_own_where_the_copy_knows_that_there_was_none(door: Door):
    assert door.place({**KNOWN, "payment_method": "stripe:pm_1"}).status_code == 409


def test_the_same_order_with_a_payment_is_left_to_the_saga(shop: FilledShop):
    """The order database has no payments: it must not take the order for another one, nor another one for it."""
    paid = {**KNOWN, "order_id": "paid-1", "payment_method": "stripe:pm_1"}
    shop.send(OrderPlaced.model_validate(paid), silent="payment_events")
    with opened(shop.settings) as door:
        assert door.place(paid).status_code == 202
        assert len(door.broker.taken) == 1
    with opened(shop.settings) as door:
        door.broker.then = lambda record, sent: door.outcomes.refuse(sent, Fault.DIFFERENT_CONTENT)
        other = {name: value for name, value in paid.items() if name != "payment_method"}
        assert door.place(other, Prefer="wait=10").status_code == 409
        assert len(door.broker.taken) == 1


def test_an_order_that_was_not_sent_may_be_placed_with_another_content(door: Door):
    door.broker.fails = BrokerUnreachable("no broker answers")
    assert door.place().status_code == 503
    door.broker.fails = None
    assert door.place({**ORDER, "amount": "26.00"}).status_code == 202


def test_who_waits_is_told_that_the_record_became_a_dead_letter(door: Door):
    door.broker.then = lambda record, sent: door.outcomes.refuse(sent, Fault.DIFFERENT_CONTENT)
    answer = door.place(Prefer="wait=10")
    assert (answer.status_code, answer.json()["code"]) == (409, "different_content")


def test_every_wrong_field_is_named(door: Door):
    answer = door.place({"order_id": "-", "amount": "x", "lines": [{"sku": "A", "quantity": 1.5}], "more": 1})
    assert answer.status_code == 422
    pointers = [each["pointer"] for each in answer.json()["errors"]]
    assert pointers == ["/order_id", "/amount", "/lines/0/quantity", "/more"]
    assert answer.json()["errors"][2]["detail"] == "must be a whole number"


def test_sums_that_do_not_agree_are_refused(door: Door):
    lines = [{"sku": "A", "quantity": 2, "unit_price": "1.00"}]
    answer = door.place({"order_id": "sum", "amount": "3.00", "lines": lines})
    assert answer.status_code == 422 and "not the sum" in answer.json()["detail"]


def test_a_card_number_is_refused_and_not_repeated(door: Door):
    answer = door.place({"order_id": "4111111111111111", "amount": 1, "4111 1111 1111 1111": 1})
    assert (answer.status_code, answer.json()["code"]) == (422, "card_number")
    assert "4111" not in answer.text


@pytest.mark.parametrize(
    ("error", "code", "seconds"),
    [
        (BrokerUnreachable("no broker answers"), "kafka_unavailable", "5"),
        (QueueFull("too many records wait"), "queue_full", "1"),
        (DeliveryUnknown("no answer"), "delivery_unknown", "5"),
        (KafkaException(KafkaError(KafkaError._TIMED_OUT)), "kafka_unavailable", "5"),
    ],
)
def test_a_broker_that_does_not_take_the_record_is_a_503_that_says_when_to_come_back(
    door: Door, error: Exception, code: str, seconds: str
):
    door.broker.fails = error
    answer = door.place()
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert answer.headers["Retry-After"] == seconds


def test_orders_are_placed_also_while_there_is_no_order_database(tmp_path: Any, shop: FilledShop):
    with opened(shop.settings, db_url=f"sqlite:///{tmp_path}/none.db") as door:
        assert door.place().status_code == 202
        answer = door.ask("GET", "/v1/orders/new-1")
        assert (answer.status_code, answer.json()["code"]) == (503, "order_database_unavailable")
        door.ends_at_once()
        assert door.place(Prefer="wait=10").status_code == 200


def test_the_trace_of_the_caller_goes_on(door: Door):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    door.place(traceparent=parent)
    door.place({**ORDER, "order_id": "new-2"}, traceparent="no trace")
    assert [headers for _, _, headers in door.broker.taken] == [[("traceparent", parent.encode())], []]


# --- ids that follow from a key


def test_the_same_key_gives_the_same_order_and_another_key_another_one(door: Door):
    body = {"amount": "5"}
    one, again, other = (door.place(body, Idempotency_Key=key) for key in ('"k-1"', "k-1", "k-2"))
    assert one.json() == again.json() != other.json()
    assert one.json()["order_id"].startswith("key-")
    assert door.place({"amount": "6"}, Idempotency_Key="k-1").status_code == 409


def test_an_order_with_an_id_keeps_it_whatever_the_key(door: Door):
    assert door.place(Idempotency_Key="k-1").json()["order_id"] == "new-1"


def test_an_order_without_id_and_key_is_refused(door: Door):
    answer = door.place({"amount": "5"})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/order_id"


@pytest.mark.parametrize("key", ["", " ", "x" * 256, '"', "a b"])
def test_a_key_of_another_form_is_refused(door: Door, key: str):
    assert door.place({"amount": "5"}, Idempotency_Key=key).status_code == 400


# --- waiting


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 0),
        (["wait=10"], 10),
        (["respond-async, wait=5"], 5),
        (["handling=lenient", 'Wait="7"; x=1'], 7),
        (["wait=999999"], 60),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["waiting=3"], 0),
    ],
)
def test_a_preference_is_read_as_rfc_7240_has_it(headers: list[str], seconds: int):
    assert preferred_wait(headers) == seconds


def test_one_caller_too_many_is_answered_at_once(door: Door):
    door.outcomes.waiting = MOST_WAITING
    began = time.monotonic()
    answer = door.place(Prefer="wait=30")
    assert answer.status_code == 202 and "Preference-Applied" not in answer.headers
    answer = door.ask("GET", "/v1/orders/waiting?wait=30")
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot_wait")
    assert time.monotonic() - began < 5


def test_nobody_waits_longer_when_the_process_is_about_to_end(door: Door):
    def stop(record: Any, sent: Any) -> None:
        asyncio.get_running_loop().call_later(0.05, door.outcomes.stop_waiting)

    door.broker.then = stop
    began = time.monotonic()
    assert door.place(Prefer="wait=30").status_code == 202
    assert door.place({**ORDER, "order_id": "new-2"}, Prefer="wait=30").status_code == 202
    assert time.monotonic() - began < 5


# --- asking


def test_an_order_is_told_whole(door: Door):
    found = door.ask("GET", "/v1/orders/o-1").json()
    assert (found["status"], found["amount"], found["lines"]) == (
        "COMPLETED",
        "10.00",
        [{"sku": "MUG", "quantity": 2}],
    )
    assert found["words"].startswith("Completed") and len(found["timeline"]) > 3


def test_an_order_that_nobody_knows_is_a_404(door: Door):
    assert door.ask("GET", "/v1/orders/nobody-at-all").status_code == 404
    assert door.ask("GET", "/v1/orders/nobody-at-all?wait=0.1").status_code == 404


def test_an_order_that_was_just_placed_is_there(door: Door):
    door.place()
    assert door.ask("GET", "/v1/orders/new-1").json()["status"] == "PLACED"


def test_who_asks_with_a_wait_gets_an_ending_that_is_not_copied_yet(door: Door):
    door.ends_at_once(Status.CANCELLED)
    door.place()
    found = door.ask("GET", "/v1/orders/new-1?wait=10").json()
    assert (found["status"], found["ended_at"]) == ("CANCELLED", "2023-11-14T22:13:20.000Z")


def test_a_list_goes_on_behind_its_last_order(door: Door):
    seen: list[str] = []
    following = "/v1/orders?state=COMPLETED&limit=7"
    while following:
        page = door.ask("GET", following).json()
        seen += [each["order_id"] for each in page["orders"]]
        following = page["next"]
    assert len(seen) == len(set(seen)) > 14
    assert door.ask("GET", "/v1/orders?q=sold").json()["orders"][0]["reason"] == "out_of_stock"


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("state=WRONG", 422),
        ("since=yesterday", 422),
        ("limit=0", 422),
        ("limit=501", 422),
        ("before=nobody", 404),
        ("late=perhaps", 422),
    ],
)
def test_a_question_of_another_form_is_refused(door: Door, question: str, status: int):
    answer = door.ask("GET", f"/v1/orders?{question}")
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    if status == 422:
        assert answer.json()["errors"][0]["parameter"] in question


# --- cancelling


def test_a_cancellation_is_sent_with_its_note(door: Door):
    answer = door.ask("POST", "/v1/orders/waiting/cancel", {"note": "customer called"})
    assert (answer.status_code, answer.headers["Location"]) == (202, "/v1/orders/waiting")
    assert door.broker.taken[0][0].note == "customer called"  # type: ignore[union-attr]


def test_a_cancellation_needs_no_body(door: Door):
    assert door.ask("POST", "/v1/orders/waiting/cancel").status_code == 202


def test_a_cancellation_that_comes_too_late_is_a_409_and_not_sent(door: Door):
    answer = door.ask("POST", "/v1/orders/o-1/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "too_late")
    assert not door.broker.taken


def test_an_order_that_is_cancelled_may_be_cancelled_again(door: Door):
    answer = door.ask("POST", "/v1/orders/sold-out/cancel")
    assert (answer.status_code, answer.json()["reason"]) == (200, "out_of_stock")


def test_a_cancellation_may_come_before_its_order(door: Door):
    assert door.ask("POST", "/v1/orders/nobody-yet/cancel").status_code == 202
    assert [record.type for record, *_ in door.broker.taken] == ["CancellationRequested"]


def test_a_note_that_is_too_long_or_has_a_card_number_is_refused(door: Door):
    for note in ("x" * 201, "card 4111 1111 1111 1111"):
        assert door.ask("POST", "/v1/orders/waiting/cancel", {"note": note}).status_code == 422
    assert not door.broker.taken
