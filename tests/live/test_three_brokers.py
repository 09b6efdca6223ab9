"""Three brokers, two in sync: one may be lost at any time, and with two nothing is lost that was acknowledged."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from harness.log import until
from harness.orders import orders, supplies
from harness.scene import TABLES, Scene, clear
from saga_app import topics
from saga_app.engine.exits import Exit
from saga_app.kafka import topic_admin
from saga_app.kafka.retries import with_retries
from saga_app.kafka.topic_faults import FaultKind, TopicFault
from saga_app.local.broker import Broker
from saga_app.local.cluster import Cluster
from saga_app.settings import Settings
from tests.support.brokers import BROKERS

pytestmark = pytest.mark.nightly("three brokers, of which some are killed or frozen")


#: Seconds for which a broker stays frozen: the controllers give its partitions away after 3.
FROZEN = 10.0
_numbers = count(1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three brokers of these tests' own."""
    cluster = Cluster(BROKERS / f"{os.getpid()}-three")
    try:
        yield cluster.start().wait()
    finally:
        cluster.remove()


@pytest.fixture
def scene(cluster: Cluster, tmp_path: Path) -> Iterator[Scene]:
    """Fresh topics with three replicas, whatever was done to the brokers before."""
    cluster.start().wait()
    clear(cluster.address)
    scene = Scene(cluster.address, tmp_path, f"three-{next(_numbers)}", replication=3)
    try:
        yield scene
    finally:
        scene.close()


class Brokers:
    """The cluster as its clients see it."""

    def __init__(self, cluster: Cluster, scene: Scene) -> None:
        self._cluster = cluster
        self._group = scene.app_id
        self._admin = self._connected()

    def coordinator(self) -> Broker:
        """The coordinator of the workers' group."""
        # A client that has asked before goes on asking the old one for a quarter of an hour.
        admin = self._connected()

        def ask() -> int:
            asked = admin.describe_consumer_groups([self._group], request_timeout=15)
            return int(asked[self._group].result().coordinator.port)

        port = with_retries(ask, 60)
        return next(each for each in self._cluster.brokers if each.address.endswith(f":{port}"))

    def leads(self, broker: Broker) -> bool:
        """True if it leads a partition of an inbox."""
        # It may be the frozen one that is asked.
        asked = with_retries(lambda: self._admin.list_topics(timeout=10), 60)
        found = asked.topics[topics.PAYMENT].partitions.values()
        return self._cluster.brokers.index(broker) + 1 in {partition.leader for partition in found}

    def _connected(self) -> AdminClient:
        config = {"bootstrap.servers": self._cluster.address, "socket.timeout.ms": 3_000, "log_level": 0}
        return AdminClient(config)


def killed(brokers: Brokers, broker: Broker, work: Callable[[], None]) -> None:
    """kill -9; started again when work has been done without it."""
    broker.kill()
    try:
        work()
    finally:
        broker.start()
    broker.wait()


def frozen(brokers: Brokers, broker: Broker, work: Callable[[], None]) -> None:
    """Paused until others lead its partitions, and for longer; it keeps its connections and answers nobody."""
    end = time.monotonic() + FROZEN
    broker.pause()
    try:
        until(lambda: not brokers.leads(broker), 60, lambda: "a frozen broker still leads")
        work()
        until(lambda: time.monotonic() > end, FROZEN + 1, lambda: "time does not pass")
    finally:
        broker.resume()
    until(broker.answers, 60, lambda: "a broker that goes on does not answer")


def test_topics_have_three_replicas_of_which_two_must_have_a_record(scene: Scene) -> None:
    """The topics that were created are those that `saga topics --check` wants."""
    settings = Settings(broker=scene.broker, app_id=scene.app_id, replication_text="3")
    wanted = topics.wanted(scene.app_id, TABLES, settings.partitions, settings.replication)
    assert {each.config["min.insync.replicas"] for each in wanted} == {"2"}
    assert topic_admin.compare(settings, wanted) == {}
    more = replace(wanted[0], replication=5)
    assert topic_admin.compare(settings, [more]) == {
        more.name: [TopicFault(FaultKind.REPLICAS, "3 replicas, not 5")]
    }


def test_work_goes_on_while_any_one_broker_is_lost(cluster: Cluster, scene: Scene) -> None:
    """A leader that is the group's coordinator killed, then the next one frozen: no worker ends, every order does."""
    workers = [scene.worker("w1").start(), scene.worker("w2").start()]
    for worker in workers:
        worker.ready()
    brokers = Brokers(cluster, scene)
    scene.shop.send(supplies())
    placed = scene.feed(orders(200, prefix="before"), until_ended=50)

    def work() -> None:
        nonlocal placed
        goal = len(scene.endings.ended) + 100
        placed += scene.pump(lambda: len(scene.endings.ended) >= goal, f"p{placed}", 90)

    for accident in (killed, frozen):
        broker = brokers.coordinator()
        assert brokers.leads(broker), "it leads no partition that orders pass: the accident would not bite"
        accident(brokers, broker, work)
        work()
    scene.endings.wait_for(placed, 90)
    for worker in workers:
        assert worker.code is None, f"{worker.name}: {worker.last_words()}"
    scene.prove()


def test_acknowledged_records_outlive_the_loss_of_two_brokers(cluster: Cluster, scene: Scene) -> None:
    """Two of three are killed under load: nothing is acknowledged without them; afterwards every order ends."""
    # Shorter timeouts, so that workers do end, and are started again, within the time of a test.
    for name in ("w1", "w2"):
        scene.worker(name, SAGA_PROFILE="local").start()
    for worker in scene.workers:
        worker.ready()
    scene.shop.send(supplies())
    placed = scene.feed(orders(1_000, prefix="before"), until_ended=100)
    lost = cluster.brokers[:2]
    for broker in lost:
        broker.kill()
    assert scene.under_way() > 0, "the accident did not bite"
    assert not acknowledged(cluster.brokers[2].address)
    for broker in lost:
        broker.start()
    cluster.wait()
    placed += scene.shop.send(orders(200, seed=2, prefix="after"))
    ended = scene.supervise(lambda: len(scene.endings.ended) >= placed, 120)
    for each in ended:
        assert each.words and each.code in set(Exit), f"not a clear end: {each}"
    scene.supervise(scene.log.is_quiet, 60)
    scene.prove()


def acknowledged(address: str) -> bool:
    """True if the broker acknowledges a record within 10 seconds."""
    answers: list[bool] = []
    producer = Producer({"bootstrap.servers": address, "message.timeout.ms": 3_000, "log_level": 0})
    producer.produce(
        topics.CHECKOUT,
        b'{"order_id": "unsure", "amount": "1.00"}',
        b"unsure",
        on_delivery=lambda error, _: answers.append(error is None),
    )
    producer.flush(10)
    return answers == [True]
