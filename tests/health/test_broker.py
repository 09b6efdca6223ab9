"""Readings from a real broker: the lag of inboxes with transactions in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.health.broker import BrokerReader
from saga_app.health.readings import InboxPartition
from saga_app.kafka.commit_notes import commit_offsets
from saga_app.kafka.open_transactions import HeldBack, held_back
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from saga_app.times import now
from tests.live.scene import Scene, clear
from tests.support.ports import free_port


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


def test_a_broker_that_is_not_there_is_named_at_once() -> None:
    port = free_port()
    with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}: Connection refused"):
        BrokerReader(Settings(broker=f"127.0.0.1:{port}")).read((), None)
