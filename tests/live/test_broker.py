"""The broker goes away under load and comes back: workers survive, or say why they end and are started again."""

import time
from collections.abc import Callable
from typing import Final

import pytest

from harness.log import until
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app.engine.exits import Exit
from saga_app.local.broker import Broker

pytestmark = pytest.mark.slow("a broker that is stopped or killed under load")

#: Seconds without a broker: it is longer than every pause of a client between two attempts.
LONG: Final = 30.0


def restarted(kafka: Broker) -> None:
    """Stopped in order and started."""
    kafka.restart()


def killed(kafka: Broker) -> None:
    """kill -9, then started on the same data."""
    kafka.kill()
    kafka.start().wait()


@pytest.mark.parametrize(
    "accident",
    [pytest.param(restarted, marks=pytest.mark.nightly("a minute; the kill is tried always")), killed],
)
def test_orders_end_when_the_broker_comes_back(
    scene: Scene, kafka: Broker, accident: Callable[[Broker], None]
) -> None:
    """Two workers under load, with a supervisor: every order that the broker took ends as it must."""
    workers = [scene.worker("w1").start(), scene.worker("w2").start()]
    for worker in workers:
        worker.ready()
    scene.shop.send(supplies())
    placed = scene.feed(orders(1_500, prefix="before"), until_ended=100)
    accident(kafka)
    assert scene.under_way() > 0, "the accident did not bite"
    placed += scene.shop.send(orders(500, seed=2, prefix="after"))
    ended = scene.supervise(lambda: len(scene.endings.ended) == placed, 120)
    for each in ended:
        assert each.words and each.code in set(Exit), f"not a clear end: {each}"
    scene.supervise(scene.log.is_quiet, 60)
    scene.prove()


def test_an_outage_is_a_few_lines_in_the_log_of_a_worker(scene: Scene, kafka: Broker) -> None:
    """Lost and back, and what a rebalance says; no client's own lines, which were ten a second."""
    # It sends nothing by itself: a send that no broker takes ends a worker.
    worker = scene.worker("w1", SAGA_ORDER_RETENTION="0").start().ready()
    scene.log.wait_until_quiet()
    before = len(worker.text().splitlines())
    kafka.stop()
    until(lambda: "the Kafka broker is lost" in worker.text(), 60, lambda: worker.text()[-2_000:])
    began = time.monotonic()
    # As long as clients try again and again.
    until(lambda: time.monotonic() - began > LONG, 2 * LONG, lambda: "the clock stands")
    kafka.start().wait()
    until(lambda: "the Kafka broker is back" in worker.text(), 60, lambda: worker.text()[-2_000:])
    lines = worker.text().splitlines()[before:]
    loud = [line for line in lines if any(mark in line for mark in ("%3|", "[WARNING]", "[ERROR]"))]
    assert len(loud) <= 5, "\n".join(loud)
