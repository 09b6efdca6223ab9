"""The losses of `docs/how-to/recover.md` on a real broker: the commands of the page mend each of them."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from harness.orders import Sent, orders, supplies
from harness.scene import Scene
from harness.shop import Shop
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.kafka import sender as senders
from saga_app.kafka import topic_admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.sender import Sender
from saga_app.local.broker import Broker
from saga_app.rebuild import advance as advancing
from saga_app.rebuild.survey import CannotRebuild, survey
from saga_app.settings import Settings
from tests.live.commands import invariants, saga

DEPOSIT: Sent = {
    "type": "FundsDeposited",
    "deposit_id": "after-the-loss",
    "customer_id": "C0000",
    "amount": "5.00",
}


def delete(scene: Scene, name: str) -> None:
    """Deletes a topic, as an operator's mistake does, and makes it again."""
    topic_admin.delete(Settings(broker=scene.broker), [name])
    assert saga(scene, "topics", "--create").code == 0


def forget_group(scene: Scene) -> None:
    """The committed offsets of the workers are gone."""
    admin = AdminClient({"bootstrap.servers": scene.broker})
    for future in admin.delete_consumer_groups([scene.app_id]).values():
        future.result(20)


def remove_tables(worker: WorkerProcess) -> None:
    """`rm -r "$SAGA_DATA_DIR/tables"`"""
    assert not worker.alive
    shutil.rmtree(worker.data / "tables")


@pytest.mark.slow("three lives of a worker")
def test_workers_without_group_offsets_go_on_with_their_disks_or_read_everything_again(scene: Scene) -> None:
    scene.shop.send(supplies())
    scene.shop.raw(topics.PAYMENT, b"{", b"bad", partition=0)
    worker = scene.worker("w1").start()
    scene.feed(orders(40), until_ended=40)
    scene.log.wait_until_quiet()
    worker.end()
    records = scene.log.inboxes()

    forget_group(scene)
    worker.start().ready()
    scene.log.wait_until_quiet()
    assert scene.log.inboxes() == records, "a worker with its disk knows how far it was"
    worker.end()

    forget_group(scene)
    delete(scene, topics.DEAD_LETTERS)
    remove_tables(worker)
    worker.start().ready()
    scene.log.wait_until_quiet()
    assert scene.log.inboxes() > records, "everything is decided again"
    ledger = scene.prove(dead_letters=1)
    assert ledger.letters, "and the dead letters are written again"
    worker.end()
    assert saga(scene, "audit").code == 0


@pytest.mark.slow("a worker three times, and two commands")
def test_work_goes_on_behind_an_inbox_that_was_deleted_and_made_again(scene: Scene) -> None:
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    placed = scene.feed(orders(60), until_ended=60)
    scene.log.wait_until_quiet()
    worker.end()
    before, ends = scene.ledger().logged, scene.log.committed()
    delete(scene, topics.PAYMENT)
    scene.shop = Shop(scene.broker)
    scene.shop.send([DEPOSIT])
    placed += scene.shop.send(orders(30, prefix="new"))

    told = saga(scene, "advance", "--dry-run")
    assert told.code == 0 and "payment_events[0] ends at offset" in told.out, told
    done = saga(scene, "advance", "--yes")
    assert done.code == 0, done
    assert scene.log.committed() == ends
    assert "advance: each inbox has the records of its rows" in saga(scene, "advance", "--dry-run").out

    # With its disk: the tables are right, and the group knows the inbox better.
    worker.start().ready()
    scene.endings.wait_for(placed, 90)
    scene.log.wait_until_quiet()
    worker.end()
    after = scene.ledger()
    assert set(after.orders()) == {f"o-{each}" for each in range(60)} | {f"new-{each}" for each in range(30)}
    after.ends()
    after.nothing_half_done()
    after.money_and_stock()
    assert f"deposit:C0000:{DEPOSIT['deposit_id']}" in after.rows("payments")
    for table, rows in before.items():
        lost = [
            key
            for key, row in rows.items()
            if ":" not in key[1].decode() and after.logged[table].get(key) != row
        ]
        assert not lost, f"{table} lost {lost[:3]}"
    audit = saga(scene, "audit", "--json")
    assert audit.code == 0, audit
    assert "payment_events[0] begins at offset" in str(invariants(audit)["I7"]["unchecked"])


class AdvanceKilled(BaseException):
    """kill -9."""


@contextmanager
def open_transaction(scene: Scene) -> Iterator[None]:
    """A producer has written to the inbox of payments, and has not decided yet if that holds; in the end it aborts."""
    producer = Producer({"bootstrap.servers": scene.broker, "transactional.id": scene.app_id})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topics.PAYMENT, b"{", b"undecided", partition=0)
    producer.flush(30)
    try:
        yield
    finally:
        producer.abort_transaction(30)


@pytest.mark.slow("a worker, and an inbox that is moved twice")
def test_a_producer_that_writes_while_an_inbox_is_advanced_loses_nothing_even_if_the_command_is_killed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    scene.feed(orders(30), until_ended=30)
    scene.log.wait_until_quiet()
    worker.end()
    targets = {place: at for place, at in scene.log.committed().items() if place[0] == topics.PAYMENT}
    delete(scene, topics.PAYMENT)
    forget_group(scene)
    scene.shop = Shop(scene.broker)
    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    deposits = 0

    def pay_in() -> None:
        nonlocal deposits
        deposits += scene.shop.send([DEPOSIT | {"deposit_id": f"during-{deposits}"}])

    post, killed = Sender.post, True

    def post_beside_a_producer(sender: Sender, records: Iterable[Outgoing]) -> list[senders.Sent]:
        pay_in()
        given = list(records)
        if killed:
            post(sender, given[: len(given) // 2])
            raise AdvanceKilled
        sent = post(sender, given)
        pay_in()
        return sent

    monkeypatch.setattr(Sender, "post", post_beside_a_producer)
    pay_in()
    with pytest.raises(CannotRebuild, match="saga advance --inbox checkout_events"):
        advancing.losses(settings)
    with open_transaction(scene), pytest.raises(CannotRebuild, match="a transaction is open below offset"):
        advancing.advance(settings, advancing.losses(settings, [topics.PAYMENT]))
    found = advancing.losses(settings, [topics.PAYMENT])
    assert {loss.place: loss.target for loss in found} == {place: at for place, at in targets.items() if at}
    with pytest.raises(AdvanceKilled):
        advancing.advance(settings, found)
    with pytest.raises(CannotRebuild, match="`saga advance` was begun"):
        survey(settings)
    killed = False
    advancing.advance(settings, advancing.losses(settings, [topics.PAYMENT]))

    place = (topics.PAYMENT, topics.partition_of(str(DEPOSIT["customer_id"]), scene.log.partitions))
    assert scene.log.committed()[place] == targets[place]
    begin, end = targets[place], scene.log.ends([place])[place]
    records = [each for chunk in chunks(settings.kafka, *place, begin, end) for each in chunk]
    kept = {json.loads(value)["deposit_id"] for each in records if (value := each.value()) is not None}
    assert kept >= {f"during-{each}" for each in range(deposits)}


@pytest.mark.nightly("a broker of its own, stopped twice, and two clusters")
def test_a_cluster_that_was_restored_from_a_copy_goes_on_where_the_copy_was_made(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "kafka").start().wait()
    scene = Scene(broker.address, tmp_path, "cluster")
    scenes = [scene]
    try:
        scene.shop.send(supplies())
        worker = scene.worker("w1").start()
        scene.feed(orders(40), until_ended=40)
        scene.log.wait_until_quiet()
        worker.end()
        broker.stop()
        shutil.copytree(broker.folder, tmp_path / "copy", symlinks=True)
        broker.start().wait()
        worker.start().ready()
        # Clients of before the stop may have lost their broker for good.
        scenes.append(again := Scene(broker.address, tmp_path, "cluster"))
        again.shop.send(orders(20, prefix="lost"))
        again.log.wait_until_quiet()
        worker.end()

        broker.stop()
        shutil.rmtree(broker.folder)
        (tmp_path / "copy").rename(broker.folder)
        broker.start().wait()
        remove_tables(worker)
        worker.start().ready()
        scenes.append(restored := Scene(broker.address, tmp_path, "cluster"))
        restored.shop.outbox += scene.shop.outbox + again.shop.outbox
        restored.shop.send_again()
        assert len(restored.prove().orders()) == 60
        worker.end()
        assert saga(restored, "audit").code == 0
    finally:
        for each in scenes:
            each.close()
        broker.remove()
