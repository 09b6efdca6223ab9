"""The history of an order: what happened, in the order in which it happened, with the row after each record."""

import pytest

from saga_app.audit.history import Event, history
from saga_app.audit.words import in_words
from saga_app.core.records import OrderPlaced, PricedLine
from saga_app.settings import Settings
from tests.audit.world import PARTITIONS, World
from tests.support.examples import cancel, deadline, delivery, deposit, limit, placed


def bought(order_id: str, **fields: object) -> OrderPlaced:
    lines = (PricedLine(sku="mug", quantity=1),)
    return placed(order_id, "10.00", **{"customer_id": "c1", "country": "GB", "lines": lines, **fields})


def told(world: World, order_id: str) -> list[Event]:
    return history(Settings(partitions_text=str(PARTITIONS)), order_id)


def words(world: World, order_id: str) -> list[str]:
    return [in_words(event) for event in told(world, order_id)]


@pytest.fixture
def shop(world: World) -> World:
    return world.run(delivery("d1", mug=10), deposit("d1", "100.00"))


def test_a_completed_order_walks_the_route(shop: World) -> None:
    shop.run(bought("o1"), bought("other"))
    assert words(shop, "o1") == [
        "placed: 10.00 GBP, 1 lines",
        "paid (c1:GBP -10.00)",
        "reserved (main:mug -1)",
        "shipment booked",
        "COMPLETED",
    ]


def test_a_refused_order_walks_back(shop: World) -> None:
    shop.run(bought("o1", country="NZ"))
    assert words(shop, "o1")[3:] == [
        "shipping refused: undeliverable",
        "released (undeliverable at shipping)",
        "refunded (undeliverable at shipping)",
        "CANCELLED (undeliverable at shipping)",
    ]


def test_a_cancelled_order_meets_its_tombstone(shop: World) -> None:
    shop.send(bought("o1"))
    shop.run(cancel("o1"))
    found = words(shop, "o1")
    assert "CANCELLING (requested at checkout)" in found
    assert any("before it was asked to act" in each for each in found)
    assert "CANCELLED (requested at checkout)" in found
    assert "COMPLETED" not in found


def test_a_deadline_and_repeats_are_told(shop: World) -> None:
    shop.send(bought("o1"))
    shop.run(deadline("o1", attempt=0), bought("o1"))
    found = words(shop, "o1")
    assert "no ending in time (try 0): asked again" in found
    assert "payment: asked again; it is DONE, and the answer was sent again" in found


def test_a_cancel_that_came_too_late_says_so(shop: World) -> None:
    shop.run(bought("o1")).run(cancel("o1"))
    assert words(shop, "o1")[-1] == "too late to cancel: the order is completed"


def test_another_content_under_the_same_id_is_told_as_a_dead_letter(shop: World) -> None:
    shop.run(bought("o1")).run(placed("o1", "11.00"))
    assert words(shop, "o1")[-1].startswith("OrderPlaced became a dead letter: different_content")


def test_a_change_of_rules_is_part_of_the_fold(shop: World) -> None:
    for partition in range(PARTITIONS):
        shop.send(limit("p1", "5.00"), partition=partition)
    shop.run(bought("o1"))
    assert "payment refused: over_limit" in words(shop, "o1")


def test_each_record_has_its_row_and_its_place(shop: World) -> None:
    shop.run(bought("o1"))
    for event in told(shop, "o1"):
        found = event.as_json()
        assert found["row"]["version"] == found["offset"]
        assert (found["verdict"], found["reason"]) == ("applied", None)
    assert [event.as_json()["sent"] for event in told(shop, "o1")] == [
        ["PaymentRequested"],
        ["ReservationRequested"],
        ["ShipmentRequested"],
        ["OrderCompleted"],
        [],
    ]


def test_an_order_that_was_never_placed_has_no_history(shop: World) -> None:
    assert told(shop, "o1") == []
