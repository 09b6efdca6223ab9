"""Deliveries: the waits between tries, the end after three days, and what the topic says of them."""

import json

from saga_app.core.numbers import version_at
from saga_app.kafka.order_outcomes import HeardOutcome
from saga_app.webhooks.board import MOST_WAITING, DeliveryBoard
from saga_app.webhooks.deliveries import (
    FIRST_WAIT,
    LONGEST_WAIT,
    TRIED_FOR,
    DeliveryState,
    EndpointBegun,
    WebhookDelivery,
    begun_record,
    delivery_record,
    taken_record,
)

OUTCOME = (
    b'{"version":7,"order_id":"o1","state":"CANCELLED","reason":"over_limit","step":"payment","currency":"GBP",'
    b'"amount":"9.00","metadata":{"ended_at":"never"},"ended_at":"2026-01-31T12:00:00.000Z"}'
)


def delivery(event: str = "o1:7", endpoint: str = "shop", at: int = 0) -> WebhookDelivery:
    made = WebhookDelivery.new(endpoint, HeardOutcome("o1", version_at(7), OUTCOME))
    return made.model_copy(update={"id": event, "first_at": at, "next_at": at})


def test_the_body_is_type_time_and_the_outcome():
    assert json.loads(delivery().body) == {
        "type": "order.cancelled",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "data": json.loads(OUTCOME),
    }


def test_waits_double_up_to_the_longest_and_end_after_three_days():
    each, at, waits = delivery(), 0, []
    while each.state is DeliveryState.WAITING:
        each = each.not_taken("503", at)
        waits.append(each.next_at - at)
        at = each.next_at
    assert 0.8 * FIRST_WAIT <= waits[0] <= 1.2 * FIRST_WAIT
    assert all(later <= 1.2 * LONGEST_WAIT for later in waits) and waits[3] > 3 * waits[1]
    assert at > TRIED_FOR and 20 < each.tries < 40


def test_an_endpoint_may_ask_for_a_longer_wait_but_not_for_a_day():
    assert delivery().not_taken("429", 0, wait=600_000).next_at == 600_000
    assert delivery().not_taken("429", 0, wait=86_400_000).next_at == LONGEST_WAIT


def test_an_endpoint_that_is_gone_is_not_tried_again_until_somebody_wants_it():
    failed = delivery().not_taken("410", 5, is_final=True)
    assert failed.state is DeliveryState.FAILED
    again = failed.again(10 * TRIED_FOR)
    assert (again.state, again.next_at, again.id) == (DeliveryState.WAITING, 10 * TRIED_FOR, failed.id)
    assert again.not_taken("503", 10 * TRIED_FOR + 1).state is DeliveryState.WAITING


def written(board: DeliveryBoard, record, offset: int, *, ours: bool = False) -> None:
    (board.wrote if ours else board.read)(record.partition, offset, record.key, record.value)


def test_the_last_record_of_a_delivery_counts():
    board = DeliveryBoard()
    written(board, delivery_record(delivery(), 3), 0)
    assert list(board.waiting["shop", 3]) == ["o1:7"]
    written(board, delivery_record(delivery().not_taken("410", 5, is_final=True), 3), 1)
    assert not board.waiting["shop", 3] and list(board.failed["shop", 3]) == ["o1:7"]
    written(board, taken_record(delivery(), 3), 2)
    assert not board.failed["shop", 3]


def test_our_own_record_counts_before_it_is_read_and_older_ones_do_not_come_back():
    board = DeliveryBoard()
    waits, taken = delivery_record(delivery(), 3), taken_record(delivery(), 3)
    written(board, taken, 5, ours=True)
    written(board, waits, 4)
    assert not board.waiting["shop", 3]
    written(board, taken, 5)
    written(board, waits, 6)
    assert board.waiting["shop", 3]


def test_a_beginning_is_remembered_and_garbage_is_left_out():
    board = DeliveryBoard()
    written(board, begun_record(EndpointBegun(endpoint="shop", partition=3, offset=42)), 0)
    board.read(3, 1, b"shop o1:7", b"{}")
    board.read(3, 2, b"\xff", b"\xff")
    board.read(3, 3, b"other o1:7", delivery_record(delivery(), 3).value)
    assert board.begun == {("shop", 3): 42} and not any(board.waiting.values())


def test_a_queue_has_room_for_a_bounded_number_of_deliveries():
    board = DeliveryBoard()
    for number in range(MOST_WAITING):
        assert board.has_room("shop", 0)
        written(board, delivery_record(delivery(f"o:{number}"), 0), number)
    assert not board.has_room("shop", 0) and board.has_room("shop", 1) and board.has_room("other", 0)
