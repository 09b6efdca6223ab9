"""A stop in order, under load, is quick and leaves nothing to be decided again."""

import signal
import time

import pytest

from harness.orders import orders, supplies
from harness.scene import Scene

#: Seconds: the worker's own timer ends it then.
LONGEST_STOP = 25.0


@pytest.mark.promise("a stop in order")
@pytest.mark.parametrize(
    "how",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow("the same with another signal"))],
    ids=lambda how: how.name,
)
def test_a_stop_under_load_commits_all_that_is_durable(scene: Scene, how: signal.Signals) -> None:
    """Stopped with orders under way, it ends with code 0 in time, and its successor decides nothing again."""
    first = scene.worker("first").start().ready()
    scene.shop.send(supplies())
    scene.feed(orders(1_500), until_ended=100)
    began = time.monotonic()
    code = first.end(how, LONGEST_STOP + 5)
    took = time.monotonic() - began
    assert code == 0, first.text()[-3000:]
    assert took < LONGEST_STOP
    assert scene.under_way() > 0 and scene.log.lag() > 0, "the stop did not bite"
    scene.ledger().committed_is_complete(scene.log.committed())
    scene.worker("second").start()
    scene.endings.wait_for(1_500, 60)
    assert scene.prove().repeats() == {}
