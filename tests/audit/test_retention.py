"""An audit while orders are evicted, and afterwards."""

from typing import Any

import pytest

from saga_app import topics
from saga_app.audit.history.describe import in_words
from saga_app.audit.history.reader import read_history
from saga_app.settings import Settings
from tests.audit.reading import broken, figures
from tests.audit.world import APP, PARTITIONS, AuditWorld, bought
from tests.support.examples import cancel, delivery, deposit


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that ended both ways, in segments that may close."""
    world.evict().run(delivery("d1", mug=10), deposit("d1", "100.00"))
    return world.run(bought("paid"), bought("far", country="NZ"), bought("second"))


def until(world: AuditWorld, topic: str) -> AuditWorld:
    """Decides what waits in checkout, and then in the services before this one in the route."""
    for each in topics.INBOXES[: topics.INBOXES.index(topic)]:
        for place in [place for place in world.waiting() if place[0] == each]:
            while place in world.waiting():
                world.decide(place)
    return world


def rows(world: AuditWorld, table: str) -> list[str]:
    """Keys of the orders that have a row."""
    return sorted(
        key
        for tables in world.tables.values()
        for (name, key) in tables.bytes
        if name == table and ":" not in key
    )


def test_everything_holds_after_orders_were_evicted(shop: AuditWorld) -> None:
    shop.evict().run()
    assert rows(shop, "payments") == rows(shop, "shipments") == []
    assert broken(shop) == []
    assert figures(shop, "I3")["COMPLETED and closed"] == 2


def test_money_and_stock_are_the_same_before_and_after(shop: AuditWorld) -> None:
    before = figures(shop, "I1"), figures(shop, "I2")
    shop.evict().run()
    assert (figures(shop, "I1"), figures(shop, "I2")) == before


@pytest.mark.parametrize("topic", topics.INBOXES)
def test_everything_holds_while_they_are_evicted(shop: AuditWorld, topic: str) -> None:
    assert broken(until(shop.evict(), topic)) == []


def test_everything_holds_when_they_are_purged_and_an_id_is_used_again(shop: AuditWorld) -> None:
    shop.evict().run().evict(purge=True).run()
    assert rows(shop, "orders") == []
    assert broken(shop) == []
    shop.run(bought("paid", "1.00"), bought("far", "2.00", country="NZ"))
    assert rows(shop, "orders") == ["far", "paid"]
    assert broken(shop) == []


def test_cancellations_that_came_first_are_counted_kept_and_evicted(shop: AuditWorld) -> None:
    shop.run(cancel("late"), cancel("never")).run(bought("late"))
    assert broken(shop) == []
    assert figures(shop, "I3")["cancelled before they were placed"] == 1
    shop.evict().run()
    assert broken(shop) == []
    assert "cancelled before they were placed" not in figures(shop, "I3")


def test_a_tombstone_that_is_not_written_yet_is_under_way(shop: AuditWorld) -> None:
    before = dict(shop.committed)
    shop.evict().run()
    for place, written in tombstones(shop, "payments"):
        shop.remove(place, written)
    for place, written in low_watermarks(shop, "payments"):
        shop.remove(place, written)
    assert "I7" in broken(shop)
    shop.committed.update({place: at for place, at in before.items() if place[0] == topics.PAYMENT})
    assert "I7" not in broken(shop)


def cut(world: AuditWorld, topic: str) -> AuditWorld:
    """The inbox lost its first records, and no checkpoint knows them."""
    for place in [place for place, log in world.logs.items() if place[0] == topic and log]:
        world.keep_from(place, 1)
    return world


def test_where_the_beginning_was_cut_sums_hold_although_tombstones_are_not_written_yet(
    shop: AuditWorld,
) -> None:
    cut(shop.evict().run(), topics.PAYMENT)
    for place, written in tombstones(shop, "payments"):
        shop.remove(place, written)
    assert "I1" not in broken(shop)
    assert any("added up at its end only" in why for why in shop.audit().unchecked["I1"])


def test_where_the_beginning_was_cut_nothing_is_added_up_between_totals_and_low_watermark(
    shop: AuditWorld,
) -> None:
    cut(shop.evict().run(), topics.PAYMENT)
    for place, written in [*tombstones(shop, "payments"), *low_watermarks(shop, "payments")]:
        shop.remove(place, written)
    assert "I1" not in broken(shop)
    assert any("just being evicted" in why for why in shop.audit().unchecked["I1"])


def test_a_total_that_lacks_an_evicted_order_is_found(shop: AuditWorld) -> None:
    shop.evict().run()
    shop.rewrite(*shop.row("payments", "evicted:c1:GBP"), moved="-1.00")
    assert broken(shop) == ["I7"]


def test_an_evicted_order_is_still_looked_at_in_all_services(shop: AuditWorld) -> None:
    """Its shipment was lost; the evicted rows say so."""
    inbox, request = next(
        (place, each)
        for place, log in shop.logs.items()
        if place[0] == topics.SHIPPING
        for each in log
        if each.at and b'"GB"' in (each.sent_value or b"")
    )
    shop.evict().run()
    shop.remove(inbox, request)
    assert "I4" in broken(shop)


def test_the_history_tells_that_an_order_was_evicted_and_purged(shop: AuditWorld) -> None:
    shop.evict().run().evict(purge=True).run()
    history = read_history(Settings(partitions_text=str(PARTITIONS), app_id=APP), "paid")
    assert [in_words(event) for event in history.events][-5:] == [
        "closed: only that it is completed is kept",
        "payment: evicted; only what it moved is kept, in the totals",
        "inventory: evicted; only what it moved is kept, in the totals",
        "shipping: evicted; only what it moved is kept, in the totals",
        "purged: its id is free",
    ]


def tombstones(world: AuditWorld, table: str) -> list[Any]:
    """The tombstones of a table."""
    return [
        (place, each)
        for place, log in world.logs.items()
        if place[0] == topics.changelog(APP, table)
        for each in list(log)
        if each.sent_value is None
    ]


def low_watermarks(world: AuditWorld, table: str) -> list[Any]:
    """The low watermarks of a table."""
    return [
        (place, each)
        for place, log in world.logs.items()
        if place[0] == topics.changelog(APP, table)
        for each in list(log)
        if (each.sent_key or b"").startswith(b"low_watermark:")
    ]
