"""A worker that starts with records waiting and tables to restore skips none of them."""

import re

import pytest

from harness.orders import orders, supplies
from harness.scene import Scene

pytestmark = pytest.mark.slow("thousands of orders, and a restore")


def test_a_start_with_a_backlog_and_without_a_disk_skips_no_record(scene: Scene) -> None:
    """Stock Faust skipped 549 of 6,000 records here: fetched while tables were restored, then thrown away."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    scene.shop.send(orders(500, prefix="before"))
    scene.endings.wait_for(500, 60)
    assert worker.end() == 0
    worker.lose_disk()
    scene.shop.send(orders(2_000, seed=2, prefix="waiting"))
    assert scene.log.lag() >= 2_000
    worker.start().ready()
    restored = re.search(r"restored (\d+) rows", worker.text())
    assert restored and int(restored[1]) > 1_500, "there was nothing to restore"
    scene.endings.wait_for(2_500, 60)
    assert scene.prove().repeats() == {}
