"""Records that no worker wrote, in changelogs, inboxes and dead letters: each is named, and nobody stops for good."""

import pytest
from confluent_kafka import Producer

from harness.log import until
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.core.records import MOST_SEGMENTS
from saga_app.engine.exits import Exit
from saga_app.kafka.consumer_group import ConsumerGroup
from saga_app.kafka.messages import outgoing
from saga_app.settings import Settings
from tests.live.commands import saga
from tests.support.examples import orders_evicted

LETTER = [
    ("saga-reason", b"\xff"),
    ("saga-detail", b"\xff"),
    ("saga-topic", b"payment_events"),
    ("saga-partition", b"0"),
    ("saga-offset", b"9999"),
    ("saga-time", b"9" * 5_000),
]


@pytest.mark.slow("a worker's end, an audit and a rebuild; every kind of record is tried without a broker")
def test_a_worker_names_a_row_that_no_worker_wrote_and_a_rebuild_mends_it(scene: Scene) -> None:
    """So does the audit. Before that, forged records of retention stop no order."""
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    evicted = outgoing(orders_evicted(10**12, 10**12 + MOST_SEGMENTS))
    shop = Producer({"bootstrap.servers": scene.broker})
    shop.produce(evicted.topic, evicted.value, evicted.key, partition=0)
    assert shop.flush(30) == 0
    scene.feed(orders(20), until_ended=20)
    worker.end()

    names = {table: topics.changelog(scene.app_id, table) for table in ("orders", "payments")}
    high = b'{"version":1000000000000,"state":"DONE","content":""}'
    shop.produce(topics.DEAD_LETTERS, b"\xff", b"\xff", partition=0, headers=LETTER)
    shop.produce(names["payments"], high, b"some", partition=0)
    assert shop.flush(30) == 0
    assert worker.start().wait_for_end() == Exit.FOREIGN_ROW
    found = worker.last_words()
    assert f"{names['payments']}:0:" in found and "its version is 1000000000000" in found
    assert "run `saga rebuild --from-inboxes`" in found and "Traceback" not in worker.text()

    letters = saga(scene, "dead-letters")
    assert letters.code == 0 and "payment_events:0:9999" in letters.out, letters
    audit = saga(scene, "audit")
    assert audit.code == 1 and "Traceback" not in audit.error, audit
    assert f"{names['payments']}:0:" in audit.out and "no worker wrote this row" in audit.out
    assert "dead_letters:0:" in audit.out

    group = ConsumerGroup(Settings(broker=scene.broker, app_id=scene.app_id))
    until(lambda: group.members().number == 0, 60, lambda: "the worker that ended is still a member")
    rebuilt = saga(scene, "rebuild", "--from-inboxes", "--yes")
    assert "Traceback" not in rebuilt.error and "rows written" in rebuilt.out + rebuilt.error, rebuilt
    worker.start().ready()
    scene.feed(orders(20, prefix="new"), until_ended=20)
