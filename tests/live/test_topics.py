"""Topics that are not as they must be: a worker refuses them and names the command that mends it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

from harness.log import until
from harness.orders import Sent, orders, supplies
from harness.scene import TABLES, Scene
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.core.numbers import FIRST
from saga_app.engine.exits import Exit
from saga_app.kafka import batches
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from saga_app.topics import DEFAULT_PARTITIONS
from tests.live.commands import invariants, saga

#: As brokers make a topic when somebody produces to it: 7 days, and the producer's time.
BY_ITSELF = {"retention.ms": "604800000", "message.timestamp.type": "CreateTime"}


def made(broker: str, *new: NewTopic) -> None:
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 3})
    for future in admin.create_topics(list(new)).values():
        future.result(20)


def test_a_worker_refuses_topics_that_the_broker_made_by_itself(no_topics: Broker, tmp_path: Path) -> None:
    """The settings are mended by the command that it names; a wrong partition count by making the topic anew."""
    worker = WorkerProcess(no_topics.address, tmp_path, SAGA_APP_ID="by-itself")
    made(
        no_topics.address,
        *(NewTopic(name, DEFAULT_PARTITIONS, 1, config=BY_ITSELF) for name in topics.INBOXES),
        NewTopic(topics.DEAD_LETTERS, 1, 1, config=BY_ITSELF),
    )
    try:
        assert worker.start().wait_for_end(60) == Exit.TOPICS_WRONG
        assert (
            "dead_letters: 1 partitions, not 8, and no record yet; if SAGA_PARTITIONS is right, delete"
            in worker.last_words()
        )
        admin = AdminClient({"bootstrap.servers": no_topics.address, "log_level": 3})
        admin.delete_topics([topics.DEAD_LETTERS])[topics.DEAD_LETTERS].result(20)
        assert worker.start().wait_for_end(60) == Exit.TOPICS_WRONG
        words = worker.last_words()
        assert f"{', '.join(topics.INBOXES)}: retention.ms is 604800000, not -1" in words
        assert "message.timestamp.type is CreateTime, not LogAppendTime" in words
        assert "`saga topics --alter`" in words and "SAGA_PARTITIONS" not in words
    finally:
        worker.close()


@pytest.mark.slow("three starts of a worker")
def test_a_worker_refuses_a_compacted_inbox_until_it_is_altered(scene: Scene) -> None:
    """Deposits with the same key would vanish; longer retention is told, and accepted."""
    worker = scene.worker("w1")
    set_to(scene, topics.PAYMENT, "cleanup.policy", "compact")
    assert worker.start().wait_for_end(60) == Exit.TOPICS_WRONG
    assert "payment_events: cleanup.policy is compact, not delete; records can be lost" in worker.last_words()
    doctor = saga(scene, "doctor")
    assert "PROBLEM  broker and topics: payment_events: cleanup.policy is compact, not delete" in doctor.out
    assert saga(scene, "topics", "--alter", "--check").code == 0
    worker.start(SAGA_INBOX_RETENTION="30").ready()
    assert "retention.ms is -1, not 2592000000" in worker.text()
    assert "; `saga topics --alter` puts other settings right" in worker.text()
    scene.feed(orders(5), until_ended=5)


def set_to(scene: Scene, topic: str, name: str, value: str) -> None:
    """Changes a topic by hand."""
    changed = ConfigResource(
        ConfigResource.Type.TOPIC,
        topic,
        incremental_configs=[ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)],
    )
    admin = AdminClient({"bootstrap.servers": scene.broker, "log_level": 3})
    for future in admin.incremental_alter_configs([changed]).values():
        future.result(20)

    def is_shown() -> bool:
        shown = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)])
        return all(future.result(20)[name].value == value for future in shown.values())

    # A broker confirms a change before it shows it.
    until(is_shown, 20, lambda: f"{name} of {topic} is not shown as {value}")


@pytest.mark.slow("a topic is watched every 30 s")
def test_partitions_that_are_added_harm_no_order_and_everything_tells_of_them(scene: Scene) -> None:
    """A worker goes on and is not ready; none starts; audit, doctor and readiness name what nobody reads."""
    scene.shop.send(supplies())
    # Its group looks for new partitions every second.
    worker = scene.worker("w1").start(CONSUMER_METADATA_MAX_AGE_MS="1000").ready()
    scene.feed(orders(30), until_ended=30)
    grown = (topics.PAYMENT, topics.INVENTORY, topics.DEAD_LETTERS, f"{scene.app_id}-accounts-changelog")
    add_partitions(scene, *grown)
    deposits = [deposit_of(f"new-{number}") for number in range(30)]
    hashed = {topics.partition_of(each["customer_id"], 9) for each in deposits}
    assert topics.DEFAULT_PARTITIONS in hashed
    shop = Producer({"bootstrap.servers": scene.broker, "partitioner": "murmur2_random"})
    for each in deposits:
        shop.produce(topics.PAYMENT, json.dumps(each).encode(), each["customer_id"].encode())
    shop.flush(10)
    unread = sum(topics.partition_of(each["customer_id"], 9) == 8 for each in deposits)
    scene.shop.raw(topics.CHECKOUT, b"{")
    scene.feed(orders(60, seed=2, prefix="after"), until_ended=60)

    # The first look may come before the deposits.
    words = f"payment_events: 9 partitions, not 8, {unread} records in partitions that no worker reads"
    until(lambda: words in worker.get("/readyz")[1], 90, lambda: worker.get("/readyz")[1])
    code, answer = worker.get("/readyz")
    assert (code, json.loads(answer)["state"]) == (503, "topics wrong")
    assert worker.assignments == 1, "the group began no rebalance"

    second = scene.worker("w2").start()
    assert second.wait_for_end(60) == Exit.TOPICS_WRONG
    assert "docs/how-to/add-partitions.md" in second.last_words()
    assert f"payment_events: 9 partitions, not 8, {unread} records" in saga(scene, "doctor").out
    audit = saga(scene, "audit", "--json")
    breaches = {(each["topic"], each["partition"]): each for each in invariants(audit)["I8"]["breaches"]}
    assert audit.code == 1 and set(breaches) == {(topics.PAYMENT, 8)}
    assert breaches[topics.PAYMENT, 8]["what"].startswith(f"{unread} records")
    assert all(each["holds"] for name, each in invariants(audit).items() if name != "I8")
    accounts = scene.ledger().rows("accounts")
    applied = [each for each in deposits if f"{each['customer_id']}:GBP" in accounts]
    assert len(applied) == len(deposits) - unread, "what came to a wrong partition was sent on"

    worker.end()
    worker.start(SAGA_ADDED_PARTITIONS="leave").ready()
    moved = saga(scene, "topics", "--move", "--json")
    assert moved.code == 0, moved
    assert json.loads(moved.out.splitlines()[0]) == {"moved_from": "payment_events:8", "records": unread}
    scene.log.wait_until_quiet()
    accounts = scene.ledger().rows("accounts")
    assert all(accounts[f"{each['customer_id']}:GBP"]["balance"] == "5.00" for each in deposits)
    audit = saga(scene, "audit")
    assert audit.code == 0, audit
    assert "not checked: payment_events[8] was added, and no worker will read it" in audit.out
    assert "what was checked holds, and not everything was" in audit.out


@pytest.mark.slow("it restores and refuses")
def test_rows_of_another_number_of_partitions_are_refused(scene: Scene) -> None:
    """Every topic grows, and the setting follows: the counts agree, and each key would move."""
    scene.shop.send(supplies())
    worker = scene.worker("w1").start().ready()
    scene.feed(orders(30), until_ended=30)
    scene.log.wait_until_quiet()
    worker.end()
    add_partitions(scene, *(topic.name for topic in topics.wanted(scene.app_id, TABLES, 8)))
    ends = scene.log.rows(TABLES)
    assert worker.start(SAGA_PARTITIONS="9").wait_for_end(60) == Exit.TOPICS_WRONG
    assert "of 9: nothing is decided; SAGA_PARTITIONS is for life" in worker.last_words()
    assert scene.log.rows(TABLES) == ends


@pytest.mark.slow("a topic that is compacted")
def test_an_audit_tells_what_compaction_took_from_the_markers_of_transactions(scene: Scene) -> None:
    """Deposits of one customer have one key: compaction keeps the last one only."""
    customer = "C0000"
    place = (topics.PAYMENT, topics.partition_of(customer, topics.DEFAULT_PARTITIONS))
    bank = Producer({"bootstrap.servers": scene.broker, "transactional.id": scene.app_id})
    bank.init_transactions(30)
    for number in range(6):
        bank.begin_transaction()
        value = json.dumps({**deposit_of(customer), "deposit_id": f"d{number}"}).encode()
        bank.produce(place[0], value, customer.encode(), place[1])
        bank.flush(10)
        bank.abort_transaction(30) if number == 2 else bank.commit_transaction(30)
    markers = saga(scene, "audit", "--json")
    assert markers.code == 0, markers
    assert invariants(markers)["I8"]["figures"]["gaps"] == 7, "six markers, and an aborted record"

    with quick_cleaner(scene.broker):
        for name, given in {
            "cleanup.policy": "compact",
            "segment.ms": "1",
            "max.compaction.lag.ms": "1",
        }.items():
            set_to(scene, place[0], name, given)
        # The next record begins a new file, and the one before it may be compacted.
        scene.shop.raw(
            place[0], json.dumps(deposit_of(customer)).encode(), customer.encode(), partition=place[1]
        )
        scene.shop.flush()
        settings = Settings(broker=scene.broker)
        end = scene.log.ends([place])[place]
        until(
            lambda: batches.missing(settings, place, FIRST, end).number > 0,
            60,
            lambda: "nothing was compacted",
        )
    set_to(scene, place[0], "cleanup.policy", "delete")
    compacted = saga(scene, "audit", "--json")
    (breach,) = invariants(compacted)["I8"]["breaches"]
    assert compacted.code == 1
    assert (breach["topic"], breach["partition"], breach["offset"]) == (*place, 0)
    assert "are gone: cleanup.policy is or was compact" in breach["what"]


def deposit_of(customer: str) -> Sent:
    return {"type": "FundsDeposited", "deposit_id": "first", "customer_id": customer, "amount": "5.00"}


def add_partitions(scene: Scene, *names: str) -> None:
    """One more than the saga knows."""
    admin = AdminClient({"bootstrap.servers": scene.broker, "log_level": 3})
    more = [NewPartitions(name, topics.DEFAULT_PARTITIONS + 1) for name in names]
    for future in admin.create_partitions(more).values():
        future.result(20)

    def shown() -> set[int]:
        there = admin.list_topics(timeout=10).topics
        return {len(there[name].partitions) for name in names}

    until(lambda: shown() == {topics.DEFAULT_PARTITIONS + 1}, 20, lambda: str(shown()))


@contextmanager
def quick_cleaner(broker: str) -> Iterator[None]:
    """The broker compacts at once; by default it looks every 15 s."""
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 3})

    def wait(value: str | None, how: AlterConfigOpType) -> None:
        entry = ConfigEntry("log.cleaner.backoff.ms", value, incremental_operation=how)
        every = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[entry])
        for future in admin.incremental_alter_configs([every]).values():
            future.result(20)

    wait("100", AlterConfigOpType.SET)
    try:
        yield
    finally:
        wait(None, AlterConfigOpType.DELETE)
