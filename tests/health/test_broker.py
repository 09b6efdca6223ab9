"""Readings from a real broker: the lag of inboxes, workers that end again and again, topics that are gone."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from harness.log import until
from harness.ports import free_port
from harness.scene import Scene, clear
from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.engine.exit_codes import Exit
from saga_app.health.broker import STEADY, BrokerReader, Steadiness
from saga_app.health.readings import InboxPartition
from saga_app.kafka import topic_admin
from saga_app.kafka.commit_notes import commit_offsets
from saga_app.kafka.open_transactions import HeldBack, held_back
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from saga_app.times import now
from tests.live.commands import saga


@pytest.fixture
def scene(kafka: Broker, tmp_path: Path) -> Iterator[Scene]:
    """Fresh, empty topics, and no worker."""
    clear(kafka.address)
    scene = Scene(kafka.address, tmp_path, "untaken")
    yield scene
    scene.close()


def test_lag_is_nothing_where_only_markers_of_transactions_are_left(scene: Scene) -> None:
    """And records of an open transaction are held back: no worker may take them."""
    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    reader = BrokerReader(settings)

    def read() -> InboxPartition:
        found = reader.read((), None)
        assert found.members.number == 0 and found.copy is None and len(found.inboxes) == 32
        return next(each for each in found.inboxes if each[:2] == (topics.CHECKOUT, 0))

    def take(offset: int) -> None:
        commit_offsets(settings, {(topics.CHECKOUT, 0): (Offset(offset), "")})

    shop = Producer({"bootstrap.servers": scene.broker, "transactional.id": "shop"})
    shop.init_transactions(30)
    began = now()
    shop.begin_transaction()
    for _ in range(3):
        shop.produce(topics.CHECKOUT, b"{}", partition=0)
    shop.commit_transaction(30)
    waiting = read()
    assert waiting.lag >= 3 and waiting.since is not None and abs(waiting.since - began) < 60_000
    take(3)
    assert (read().lag, read().since, read().held) == (0, None, 0), "the marker at offset 3 is no record"
    shop.begin_transaction()
    shop.produce(topics.CHECKOUT, b"{}", partition=0)
    assert shop.flush(30) == 0
    held = read()
    assert (held.lag, held.held) == (0, 1)
    assert held.held_since is not None and abs(held.held_since - began) < 60_000
    place = (topics.CHECKOUT, 0)
    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    assert held_back(settings, [place, (topics.CHECKOUT, 1)]) == {place: HeldBack(1, held.held_since)}
    shop.abort_transaction(30)
    assert (read().lag, read().since, read().held) == (0, None, 0)
    reader.close()


@pytest.mark.slow("a worker that is killed four times")
def test_a_worker_that_ended_again_and_again_is_known_from_the_broker(scene: Scene) -> None:
    worker = scene.worker("w1")
    with socket.create_server(("127.0.0.1", worker.port)):
        for _ in range(3):
            assert worker.start().wait_for_end() == Exit.WEB_PORT_TAKEN
    worker.start().ready()
    reader = BrokerReader(Settings(broker=scene.broker, app_id=scene.app_id))
    (ends,) = reader.read((), None).members.ends.values()
    assert (ends.times, ends.code) == (3, Exit.WEB_PORT_TAKEN)
    reader.close()
    found = [json.loads(line) for line in saga(scene, "doctor", "--json").out.splitlines()]
    (finding,) = [each for each in found if each["what"] == "ends"]
    assert not finding["ok"] and "ends again and again: 3 times" in finding["detail"]
    assert worker.end() == 0
    assert (worker.data / "runs.log").read_text().splitlines()[-1].endswith(" 0")


def test_a_lost_changelog_and_added_partitions_are_named_at_once_with_the_way_out(scene: Scene) -> None:
    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    reader = BrokerReader(settings)
    assert reader.read((), None).wrong_topics == ""
    lost = topics.changelog(scene.app_id, "payments")
    topic_admin.delete(settings, [lost])
    checked = saga(scene, "topics", "--check")
    assert checked.code == 1 and "`saga topics --create` creates" in checked.error
    commit_offsets(settings, {(topics.CHECKOUT, 0): (Offset(3), "")})
    checked = saga(scene, "topics", "--check")
    assert (
        checked.code == 1 and "docs/how-to/recover.md" in checked.error and "--create`" not in checked.error
    )
    admin = AdminClient({"bootstrap.servers": scene.broker})
    for future in admin.create_partitions([NewPartitions(topics.SHIPPING, 9)]).values():
        future.result(20)
    words = f"{topics.SHIPPING} has 9 partitions, not 8; {lost} is missing"
    until(lambda: reader.read((), None).wrong_topics == words, 20, lambda: reader.read((), None).wrong_topics)
    reader.close()


def test_a_group_that_settles_for_moments_only_has_not_settled() -> None:
    group = Steadiness()
    assert group.see(0, is_settled=True) is None
    assert group.see(1_000, is_settled=False) == 1_000
    assert group.see(2_000, is_settled=True) == 1_000
    assert group.see(3_000, is_settled=False) == 1_000
    assert group.see(4_000, is_settled=True) == 1_000
    assert group.see(4_000 + int(STEADY * 1000), is_settled=True) is None


def test_a_broker_that_is_not_there_is_named_at_once() -> None:
    port = free_port()
    with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}: Connection refused"):
        BrokerReader(Settings(broker=f"127.0.0.1:{port}")).read((), None)
