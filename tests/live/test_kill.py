"""kill -9 of a worker under load: every order ends, and no effect is lost or made, whatever becomes of its disk."""

from collections.abc import Callable

import pytest

from harness.orders import orders, supplies
from harness.scene import Scene
from harness.worker import WorkerProcess

#: Longer than a session and a restore.
TAKEOVER = 60.0


def disk_kept(victim: WorkerProcess) -> None:
    """It comes back with what it had stored."""
    victim.start()


def disk_lost(victim: WorkerProcess) -> None:
    """It comes back with nothing and restores everything."""
    victim.lose_disk()
    victim.start()


def never_restarted(victim: WorkerProcess) -> None:
    """It does not come back; the other worker takes over."""


OTHERWISE = pytest.mark.slow("another end of the same kill")


@pytest.mark.promise("kill -9")
@pytest.mark.parametrize(
    "afterwards",
    [disk_lost, pytest.param(disk_kept, marks=OTHERWISE), pytest.param(never_restarted, marks=OTHERWISE)],
)
def test_kill_9_of_one_of_two_workers_loses_and_repeats_nothing(
    scene: Scene, afterwards: Callable[[WorkerProcess], None]
) -> None:
    """Two workers under load, one killed with orders under way: all orders end as they must."""
    victim, other = scene.worker("victim").start(), scene.worker("other").start()
    victim.ready(), other.ready()
    scene.shop.send(supplies())
    scene.feed(orders(1_000, prefix="before"), until_ended=100)
    assert victim.assignments and other.assignments
    assignments = other.assignments
    victim.kill()
    under_way, lag = scene.under_way(), scene.log.lag()
    assert under_way > 0 and lag > 0, f"the kill did not bite: {under_way} orders under way, lag {lag}"
    afterwards(victim)
    scene.shop.send(orders(500, seed=2, prefix="after"))
    scene.endings.wait_for(1_500, TAKEOVER)
    assert other.assignments > assignments, "no rebalance was seen"
    assert other.alive
    scene.prove()
