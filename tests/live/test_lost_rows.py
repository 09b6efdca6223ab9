"""Kafka loses rows or records under the workers: no worker decides on what it knows to be lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from harness.endings import Endings
from harness.log import BrokerOffsets, until
from harness.orders import Sent, orders, supplies
from harness.scene import Scene
from harness.shop import Shop
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.engine.exits import Exit
from saga_app.kafka.commit_notes import commit_offsets, committed_notes
from saga_app.kafka.consumer_group import ConsumerGroup
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.live.commands import saga
from tests.support.losses import delete, lose_end

#: A customer with an account of 40, whose order costs 900.
POOR = "POOR"


def poor() -> Iterator[Sent]:
    yield {"type": "FundsDeposited", "deposit_id": "first", "customer_id": POOR, "amount": "940.00"}
    yield dear("paid")


def dear(order_id: str) -> Sent:
    """An order for 900."""
    line = {"sku": "SKU-0001", "quantity": 1, "unit_price": "900.00"}
    return {
        "type": "OrderPlaced",
        "order_id": order_id,
        "customer_id": POOR,
        "country": "GB",
        "warehouse": "main",
        "lines": [line],
    }


def worked(scene: Scene) -> WorkerProcess:
    """A worker that has decided some orders and was stopped; of the 940 of one customer, 40 are left."""
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    scene.shop.send(poor())
    scene.feed(orders(20), until_ended=21)
    scene.log.wait_until_quiet()
    assert worker.end() == 0
    return worker


def crash(scene: Scene, broker: Broker, place: tuple[str, int]) -> None:
    """The broker loses the last records of this partition; clients that it had before may not find it again."""
    lose_end(broker, *place, batches=1)
    sent, scene.shop = scene.shop.outbox, Shop(scene.broker)
    scene.shop.outbox += sent
    scene.log = BrokerOffsets(scene.broker, scene.app_id)
    scene.endings.close()
    until(lambda: _reopened(scene), 30, lambda: "the broker that was started again leads no partitions")


def _reopened(scene: Scene) -> bool:
    try:
        scene.endings = Endings(scene.broker, from_beginning=True)
    except KafkaException:
        return False
    return True


def accounts(scene: Scene) -> tuple[str, int]:
    """The changelog partition with the account of 40."""
    return topics.changelog(scene.app_id, "accounts"), topics.partition_of(POOR, scene.log.partitions)


def refuses_the_dear_order(scene: Scene) -> None:
    """An account of 40 never pays 900; all rules hold, and the same input again changes nothing."""
    scene.shop.send([dear("again")])
    scene.endings.wait_for(22, 60)
    ledger = scene.prove()
    order = b'"status":"CANCELLED"'
    assert any(key == b"again" and order in row for (_, key), row in ledger.logged["orders"].items())
    audit = saga(scene, "audit", "--json")
    assert audit.code == 0, audit


@pytest.mark.slow("two workers, five starts")
def test_a_worker_without_rows_that_were_written_refuses_and_one_that_holds_them_writes_them_again(
    scene: Scene,
) -> None:
    worker = worked(scene)
    assert saga(scene, "audit").code == 0
    delete(scene.broker, accounts(scene)[0])
    delete(scene.broker, topics.changelog(scene.app_id, "reservations"))

    other = scene.worker("w2").start()
    assert other.wait_for_end(60) == Exit.ROWS_LOST, other.text()[-3000:]
    words = other.last_words()
    assert f"{scene.app_id}-" in words and "-changelog[" in words and "was deleted and made again" in words
    assert "saga rebuild --from-inboxes" in words

    worker.start().ready()
    assert "are written again from this disk" in worker.text()
    worker.kill()
    # The group knows that the rows are there again: any disk will do.
    worker.lose_disk()
    worker.start().ready()
    assert "are written again" not in worker.text()
    refuses_the_dear_order(scene)


@pytest.fixture
def own_scene(tmp_path: Path) -> Iterator[tuple[Scene, Broker]]:
    """A broker of this test's own, which may lose what it wrote."""
    broker = Broker(tmp_path / "broker").start().wait()
    scene = Scene(broker.address, tmp_path, "lost")
    try:
        yield scene, broker
    finally:
        scene.close()
        broker.remove()


@pytest.mark.slow("a broker of its own, killed twice")
def test_a_changelog_that_lost_its_end_is_written_again_from_a_disk_and_without_one_nobody_decides(
    own_scene: tuple[Scene, Broker],
) -> None:
    scene, broker = own_scene
    worker = worked(scene)
    crash(scene, broker, accounts(scene))

    other = scene.worker("w2").start()
    assert other.wait_for_end(60) == Exit.ROWS_LOST, other.text()[-3000:]
    assert "it ends at offset" in other.last_words()

    worker.start().ready()
    assert "are written again from this disk" in worker.text()
    refuses_the_dear_order(scene)


def refuses_to_rebuild(scene: Scene, lost: tuple[str, int]) -> None:
    """The rebuild names the inbox whose offsets were used again, and the command that goes on behind them."""
    refused = saga(scene, "rebuild", "--from-inboxes", "--dry-run")
    words = f"{lost[0]}[{lost[1]}] lost records, and others have their offsets"
    assert refused.code == 1 and words in refused.error and "`saga advance`" in refused.error, refused


@pytest.mark.slow("a broker of its own, killed once")
def test_a_worker_notices_that_an_inbox_lost_its_end_also_where_the_offsets_were_used_again(
    own_scene: tuple[Scene, Broker],
) -> None:
    scene, broker = own_scene
    worker = worked(scene)
    lost = topics.CHECKOUT, topics.partition_of("paid", scene.log.partitions)
    before = scene.log.ends([lost])[lost]
    crash(scene, broker, lost)
    assert worker.start().wait_for_end(60) == Exit.INBOX_CUT, worker.text()[-3000:]
    assert f"{lost[0]}[{lost[1]}] lost records" in worker.last_words()

    count = 0
    while scene.log.ends([lost])[lost] <= before:
        count += scene.shop.send([dear(f"next-{count}")])
    assert worker.start().wait_for_end(60) == Exit.INBOX_CUT, worker.text()[-3000:]
    assert "truncation" in worker.last_words()

    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    group = ConsumerGroup(settings)
    until(lambda: not group.members().number, 30, lambda: "the worker that ended is still a member")
    refuses_to_rebuild(scene, lost)
    # The group's topic may have been cut in the same crash: the next commit that it has is of before the loss.
    known = committed_notes(settings, [lost])
    commit_offsets(settings, {lost: (Offset(0), "")})
    refuses_to_rebuild(scene, lost)
    commit_offsets(settings, known)
    done = saga(scene, "advance", "--yes")
    assert f"advance: {lost[0]}[{lost[1]}] lost records below" in done.out, done
    # With its disk: the tables are right, and what it knew of the inbox is older than what the group knows.
    worker.start().ready()
    scene.log.wait_until_quiet()
    decided = {key for _, key in scene.ledger().logged["orders"]}
    assert {b"next-%d" % each for each in range(count)} <= decided


@pytest.mark.slow("two starts of a worker")
def test_a_worker_refuses_an_inbox_that_was_deleted_and_made_again(scene: Scene) -> None:
    worker = worked(scene)
    delete(scene.broker, topics.PAYMENT)
    assert worker.start().wait_for_end(60) == Exit.INBOX_REPLACED, worker.text()[-3000:]
    assert f"{topics.PAYMENT}[" in worker.last_words() and "was deleted and made again" in worker.last_words()
    worker.lose_disk()
    assert worker.start().wait_for_end(60) == Exit.INBOX_CUT, worker.text()[-3000:]


@pytest.mark.slow("a worker whose changelog is deleted under it")
def test_a_running_worker_notices_that_a_changelog_was_deleted(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from saga_app.engine import late_writes; late_writes.INTERVAL = 0.5"
    )
    worker = worked(scene)
    worker.start(PYTHONPATH=f"{worker.environment['PYTHONPATH']}:{tmp_path}").ready()
    delete(scene.broker, accounts(scene)[0])
    until(lambda: not worker.alive, 60, lambda: f"it did not end: {worker.text()[-2000:]}")
    assert worker.wait_for_end() == Exit.CHANGELOG_CUT, worker.text()[-3000:]
    worker.start().ready()
    assert "are written again from this disk" in worker.text()
