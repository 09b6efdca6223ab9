"""The broker goes away under load and comes back: workers survive, or say why they end and are started again."""

from collections.abc import Callable

import pytest

from saga_app.engine.exits import Exit
from saga_app.local.broker import Broker
from tests.live.orders import orders, supplies
from tests.live.scene import Scene

pytestmark = pytest.mark.slow("a broker that is stopped or killed under load")


def restarted(kafka: Broker) -> None:
    """Stopped in order and started."""
    kafka.restart()


def killed(kafka: Broker) -> None:
    """kill -9, then started on the same data."""
    kafka.kill()
    kafka.start().wait()


@pytest.mark.parametrize("accident", [restarted, killed])
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
