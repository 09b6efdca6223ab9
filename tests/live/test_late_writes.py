"""A row that another worker wrote late does not stay the last one of its key."""

from pathlib import Path

import pytest
from confluent_kafka import Producer

from harness.log import everything, until
from harness.orders import orders, supplies
from harness.process import ROOT
from harness.scene import Scene
from saga_app import topics
from saga_app.engine.exits import Exit

pytestmark = pytest.mark.slow("a late row, and a second start")


#: Nobody waits ten minutes in a test.
HURRY = "from saga_app.engine import late_writes; late_writes.INTERVAL = 0.5"


def test_a_worker_that_finds_one_ends_and_its_next_start_writes_the_younger_row_again(
    scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HURRY)
    worker = scene.worker("w1", PYTHONPATH=f"{ROOT}:{tmp_path}").start().ready()
    scene.shop.send(supplies())
    scene.feed(orders(50), until_ended=50)
    scene.log.wait_until_quiet()
    changelog = topics.changelog(scene.app_id, "orders")
    rows = everything(scene.broker, changelog, scene.log.partitions)
    oldest = next(row for row in rows if b":" not in row.key() and b'"status":"OPEN"' in row.value())
    late = Producer({"bootstrap.servers": scene.broker})
    late.produce(changelog, oldest.value(), oldest.key(), partition=oldest.partition())
    assert late.flush(10) == 0
    until(lambda: not worker.alive, 30, lambda: f"it did not end: {worker.text()[-2000:]}")
    assert worker.wait_for_end() == Exit.LATE_WRITES
    worker.start().ready()
    assert "1 rows written again behind stale ones" in worker.text()
    scene.prove()
