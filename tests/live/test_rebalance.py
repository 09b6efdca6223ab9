"""Workers come and go in order, under load, and nothing is decided or sent a second time."""

import pytest

from harness.orders import orders, supplies
from harness.scene import Scene


@pytest.mark.promise("a rebalance")
def test_a_worker_that_joins_and_leaves_makes_nobody_decide_again(scene: Scene) -> None:
    """Every request and every ending of every order is sent exactly once over two rebalances."""
    first = scene.worker("first").start().ready()
    scene.shop.send(supplies())
    second = scene.worker("second").start()
    placed = scene.pump(lambda: second.assignments > 0 and first.assignments > 1, "join")
    assert placed > len(scene.endings.ended) > 0
    before = first.assignments
    placed += scene.feed(orders(1_000, prefix="leave"), until_ended=100)
    assert scene.under_way() > 0
    assert second.end() == 0, second.text()[-3000:]
    first.ready(count=before + 1)
    scene.endings.wait_for(placed, 60)
    ledger = scene.prove()
    assert ledger.repeats() == {}
    assert scene.endings.repeats == 0


@pytest.mark.slow("four workers that start over a backlog")
def test_workers_that_start_together_over_a_backlog_do_not_get_in_each_others_way(scene: Scene) -> None:
    """A round that meets a rebalance before its first heartbeat is left to the next owner; it used to end workers."""
    scene.shop.send(supplies())
    scene.shop.send(orders(500))
    first = scene.worker("w0").start()
    first.wait_for("Joined group")
    workers = [first, *(scene.worker(f"w{number}").start() for number in range(1, 4))]
    scene.endings.wait_for(500, 60)
    for worker in workers:
        worker.ready()
    assert sum(worker.text().count("Joined group") for worker in workers) > 4, "no rebalance was seen"
    scene.prove()
    assert all(worker.alive for worker in workers), [worker.last_words() for worker in workers]
