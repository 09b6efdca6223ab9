"""The history of an order: its records, oldest first, each with its outcome and the row after it."""

from pathlib import Path

import pytest

from saga_app import topics, wire
from saga_app.audit.checkpoints.checkpoint import Checkpoint
from saga_app.audit.checkpoints.folder import latest
from saga_app.audit.history.describe import in_words, truncated_in_words
from saga_app.audit.history.events import Event
from saga_app.audit.history.reader import read_history
from saga_app.core.order import PricedLine
from saga_app.core.records import OrderPlaced
from saga_app.kafka.headers import SENT_ON
from saga_app.kafka.messages import Outgoing
from saga_app.settings import Settings
from tests.audit.world import PARTITIONS, AuditWorld
from tests.support.examples import cancel, deadline, delivery, deposit, limit, placed


def bought(order_id: str, **fields: object) -> OrderPlaced:
    lines = (PricedLine(sku="mug", quantity=1),)
    return placed(order_id, "10.00", **{"customer_id": "c1", "country": "GB", "lines": lines, **fields})


def full_history(world: AuditWorld, order_id: str) -> list[Event]:
    events, truncated = read_history(Settings(partitions_text=str(PARTITIONS)), order_id)
    assert not truncated
    return events


def described(world: AuditWorld, order_id: str) -> list[str]:
    return [in_words(event) for event in full_history(world, order_id)]


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    return world.run(delivery("d1", mug=10), deposit("d1", "100.00"))


def test_a_completed_order_walks_the_route(shop: AuditWorld) -> None:
    shop.run(bought("o1"), bought("other"))
    assert described(shop, "o1") == [
        "placed: 10.00 GBP, 1 line",
        "paid (c1:GBP -10.00)",
        "reserved (main:mug -1)",
        "shipment booked",
        "completed",
    ]


def test_a_refused_order_walks_back(shop: AuditWorld) -> None:
    shop.run(bought("o1", country="NZ"))
    assert described(shop, "o1")[3:] == [
        "shipping refused: the country is not served",
        "released (the country is not served, at shipping)",
        "refunded (the country is not served, at shipping)",
        "cancelled (the country is not served, at shipping)",
    ]


def test_a_cancelled_order_meets_its_tombstone(shop: AuditWorld) -> None:
    shop.send(bought("o1"))
    shop.run(cancel("o1"))
    found = described(shop, "o1")
    assert "being cancelled (on request, at checkout)" in found
    assert any("before it was asked to act" in each for each in found)
    assert "cancelled (on request, at checkout)" in found
    assert "completed" not in found


def test_a_deadline_and_repeats_are_told(shop: AuditWorld) -> None:
    shop.send(bought("o1"))
    shop.run(deadline("o1", attempt=0), bought("o1"))
    found = described(shop, "o1")
    assert "no ending in time (try 0): asked again" in found
    assert "payment: asked again; it is done, and the answer was sent again" in found


def test_a_cancel_that_came_too_late_says_so(shop: AuditWorld) -> None:
    shop.run(bought("o1")).run(cancel("o1"))
    assert described(shop, "o1")[-1] == "too late to cancel: the order is completed"


def test_another_content_under_the_same_id_is_told_as_a_dead_letter(shop: AuditWorld) -> None:
    shop.run(bought("o1")).run(placed("o1", "11.00"))
    assert described(shop, "o1")[-1].startswith("OrderPlaced became a dead letter: different_content")


def test_a_change_of_rules_is_part_of_the_fold(shop: AuditWorld) -> None:
    policy = wire.encode(limit("p1", "5.00"))
    for partition in range(PARTITIONS):
        shop.append(Outgoing(topics.PAYMENT, b"p1", policy, partition, ((SENT_ON, b"1"),)))
    shop.run(bought("o1"))
    assert "payment refused: over the payment limit" in described(shop, "o1")


def test_each_record_has_its_row_and_its_place(shop: AuditWorld) -> None:
    shop.run(bought("o1"))
    for event in full_history(shop, "o1"):
        found = event.as_json()
        assert found["row"]["version"] == found["offset"]
        assert (found["verdict"], found["reason"]) == ("applied", None)
    assert [event.as_json()["sent"] for event in full_history(shop, "o1")] == [
        ["PaymentRequested"],
        ["ReservationRequested"],
        ["ShipmentRequested"],
        ["OrderCompleted"],
        [],
    ]


def test_an_order_that_was_never_placed_has_no_history(shop: AuditWorld) -> None:
    assert full_history(shop, "o1") == []


def cut(world: AuditWorld, folder: Path) -> Checkpoint:
    """Everything that an audit has seen is deleted from the inboxes; the checkpoint that it left."""
    world.checkpointed(folder)
    base = latest(folder)
    assert base is not None
    for place, offset in base.known.items():
        if place[0] in topics.INBOXES:
            world.keep_from(place, offset)
    return base


def test_where_the_inboxes_were_cut_the_rows_as_they_are_now_are_told_and_that_it_is_not_all(
    shop: AuditWorld, tmp_path: Path
) -> None:
    shop.run(bought("o1"), bought("o2", country="NZ"))
    cut(shop, tmp_path)
    shop.run(cancel("o1"))
    events, truncated = read_history(Settings(partitions_text=str(PARTITIONS)), "o1")
    assert [in_words(event) for event in events] == [
        "CancellationRequested; what came of it cannot be told: the inbox was cut"
    ]
    assert events[0].as_json()["verdict"] is None
    states = [truncated_in_words(each).rpartition(" ")[2] for each in truncated]
    assert states == ["completed", "done", "done", "done"]
    assert all("begins at offset" in each.why for each in truncated)


def test_from_a_checkpoint_what_came_after_it_is_told_exactly(shop: AuditWorld, tmp_path: Path) -> None:
    shop.run(bought("o1"))
    base = cut(shop, tmp_path)
    shop.run(cancel("o1"), bought("o2"))
    settings = Settings(partitions_text=str(PARTITIONS))
    events, truncated = read_history(settings, "o1", base)
    assert [in_words(event) for event in events] == ["too late to cancel: the order is completed"]
    assert len(truncated) == 4 and all("from the checkpoint's end" in each.why for each in truncated)
    later = [in_words(event) for event in read_history(settings, "o2", base).events]
    assert later[1] == "paid (c1:GBP -10.00)" and later[-1] == "completed"


def test_an_inbox_that_is_whole_is_told_from_its_first_record_also_with_a_checkpoint(
    shop: AuditWorld, tmp_path: Path
) -> None:
    shop.run(bought("o1"))
    shop.checkpointed(tmp_path)
    found = read_history(Settings(partitions_text=str(PARTITIONS)), "o1", latest(tmp_path))
    assert not found.truncated and found.events == full_history(shop, "o1")
