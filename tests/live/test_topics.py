"""Topics that are not as they must be: a worker refuses them and names the command that mends it."""

from pathlib import Path

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from saga_app import topics
from saga_app.engine.exits import Exit
from saga_app.local.broker import Broker
from saga_app.topics import DEFAULT_PARTITIONS
from tests.live.commands import saga
from tests.live.orders import orders
from tests.live.scene import Scene
from tests.live.worker import WorkerProcess

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
    assert "; `saga topics --alter` puts the other settings right" in worker.text()
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
    shown = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)])
    assert all(future.result(20)[name].value == value for future in shown.values())
