"""Orders are evicted: seconds instead of days, a killed worker in between, and everything sent again afterwards."""

import pytest

from harness.log import everything, parsed, until
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.audit.checks.orders import JOURNALS
from saga_app.core.rows import is_closed
from tests.live.commands import invariants, saga

pytestmark = pytest.mark.slow("orders leave over some minutes of waiting")


def last_rows(scene: Scene, table: str) -> dict[str, bytes]:
    """The row that was written last under each key, as compaction leaves it; those that are there."""
    topic = topics.changelog(scene.app_id, table)
    last = {each.key(): each.value() for each in everything(scene.broker, topic, scene.log.partitions)}
    return {key.decode(): value for key, value in last.items() if value is not None}


def old(rows: dict[str, bytes]) -> set[str]:
    """Orders of the test's beginning that have their whole row."""
    return {key for key, row in rows.items() if key.startswith("old-") and not is_closed(row)}


def orders_there(scene: Scene) -> dict[str, set[str]]:
    """By journal."""
    return {table: old(last_rows(scene, table)) for table in JOURNALS.values()}


def test_closed_orders_are_evicted_and_nothing_brings_them_back(scene: Scene) -> None:
    none: dict[str, set[str]] = {table: set() for table in JOURNALS.values()}
    scene.shop.send(supplies())
    worker = scene.worker("w1", SAGA_ORDER_RETENTION="2s").start()
    until(
        lambda: (
            sum(key.startswith("low_watermark:") for key in last_rows(scene, "orders"))
            == scene.log.partitions
        ),
        60,
        lambda: f"retention has not started: {last_rows(scene, 'orders')}",
    )
    placed = scene.feed(orders(300, prefix="old"), until_ended=300)
    # On a slow machine the first of them have a small row by now.
    assert sum(key.startswith("old-") for key in last_rows(scene, "orders")) == 300
    # They fill the last segments of the old ones.
    placed += scene.feed(orders(600, prefix="new"), until_ended=600)
    worker.kill()
    worker.lose_disk()
    worker.start()
    until(lambda: orders_there(scene) == none, 120, lambda: f"still there: {orders_there(scene)}")
    scene.log.wait_until_quiet()

    copies = [
        each
        for topic in topics.INBOXES[1:]
        for each in everything(scene.broker, topic, scene.log.partitions)
        if str(parsed(each.value()).get("order", {}).get("order_id")).startswith("old-")
    ]
    assert len(copies) >= 300
    for each in copies:
        scene.shop.raw(each.topic(), each.value(), each.key(), partition=each.partition())
    scene.shop.send_again()
    scene.log.wait_until_quiet()
    assert orders_there(scene) == none

    worker.end()
    audit = saga(scene, "audit", "--json", "--data-dir", str(worker.data))
    found = invariants(audit)
    assert audit.code == 0, audit
    told = found["I3"]["figures"]
    closed = sum(told.get(f"{status} and closed", 0) for status in ("COMPLETED", "CANCELLED"))
    assert closed >= 300
    assert closed + told["COMPLETED"] + told.get("CANCELLED", 0) == placed
    assert "closed: only that it is" in saga(scene, "history", "old-1").out
