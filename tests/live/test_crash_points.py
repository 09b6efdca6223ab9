"""kill -9 between any two steps of a round leaves a prefix, from which the next life of the worker goes on."""

import signal

import pytest

from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.engine.durability import Point

pytestmark = pytest.mark.slow("twenty kills; the simulator has each of them")


#: One for each partition or so, that every worker has a part of every inbox.
WAREHOUSES = tuple(f"house-{number}" for number in range(16))
POINTS = tuple(Point)


def test_a_worker_may_die_at_every_point_of_the_round_in_every_inbox(scene: Scene) -> None:
    """Four workers, one to die in each inbox, five times over: at each point of the round, under load."""
    workers = {topic: scene.worker(topic) for topic in topics.INBOXES}
    scene.shop.send(supplies(warehouses=WAREHOUSES))
    placed = 0
    for point in POINTS:
        for topic, worker in workers.items():
            worker.start(SAGA_CRASH_AT=f"{topic}/{point}:2")
        ended_before = len(scene.endings.ended)
        waiting = set(workers)
        while waiting:
            # Little by little, for as long as one of them has not come to its point.
            placed += scene.shop.send(
                orders(20, seed=placed, prefix=f"{point}-{placed}", warehouses=WAREHOUSES)
            )
            scene.endings.poll(0.3)
            for topic in [each for each in waiting if not workers[each].alive]:
                assert workers[topic].code == -signal.SIGKILL, workers[topic].text()[-3000:]
                assert scene.log.lag_of(topic) > 0, f"nothing was in flight in {topic} at {point}"
                waiting.remove(topic)
            assert placed < 10_000, f"not reached: {[f'{topic}/{point}' for topic in waiting]}"
        assert placed > ended_before
    survivor = scene.worker("survivor").start()
    scene.endings.wait_for(placed, 90)
    assert survivor.alive
    ledger = scene.prove()
    assert ledger.repeats(), "a crash after publishing must be followed by repeats"
