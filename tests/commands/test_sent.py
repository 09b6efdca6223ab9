"""What `saga` sends, read back from a real broker."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient

import tables
from saga_app import topics
from saga_app.commands import main
from saga_app.durable import topic_admin
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.live.log import everything

PARTITIONS = 4
Saga = Callable[..., Result]


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of our own, as the names of the inboxes are fixed."""
    with Broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def saga(own_kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> Saga:
    monkeypatch.setenv("SAGA_BROKER", own_kafka.address)
    monkeypatch.setenv("SAGA_PARTITIONS", str(PARTITIONS))
    settings = Settings.read()
    topic_admin.ensure(
        settings, topics.wanted(settings.app_id, tuple(each.name for each in tables.ALL), PARTITIONS)
    )
    return lambda *arguments, **options: CliRunner().invoke(main, list(arguments), **options)


def sent(broker: Broker, topic: str, **wanted: Any) -> list[Any]:
    """The messages of a topic that have these fields."""
    messages = everything(broker.address, topic, PARTITIONS)
    return [each for each in messages if wanted.items() <= json.loads(each.value()).items()]


def test_place_sends_the_order_to_the_partition_of_its_id(saga: Saga, own_kafka: Broker):
    result = saga("place", "--order-id", "p1", "--line", "MUG:2:12.50", "--country", "GB", "--json")
    assert result.exit_code == 0, result.stderr
    [message] = sent(own_kafka, topics.CHECKOUT, order_id="p1")
    assert (
        message.partition() == topics.partition_of("p1", PARTITIONS) == json.loads(result.stdout)["partition"]
    )
    assert message.offset() == json.loads(result.stdout)["offset"]


def test_place_reads_orders_from_a_file_and_names_the_bad_lines(saga: Saga, own_kafka: Broker):
    lines = '{"order_id": "f1", "amount": 5}\nbad\n{"order_id": "f2"}\n{"order_id": "f3", "amount": "1.00"}\n'
    result = saga("place", "--file", "-", input=lines)
    assert result.exit_code == 2
    assert "line 2: unreadable" in result.stderr
    assert "line 3: invalid" in result.stderr
    assert [len(sent(own_kafka, topics.CHECKOUT, order_id=each)) for each in ("f1", "f2", "f3")] == [1, 0, 1]


def test_cancel_sends_a_request(saga: Saga, own_kafka: Broker):
    assert saga("cancel", "c1", "--note", "customer called").exit_code == 0
    assert len(sent(own_kafka, topics.CHECKOUT, type="CancellationRequested", order_id="c1")) == 1


def test_deposit_and_receive_make_an_id_or_take_one(saga: Saga, own_kafka: Broker):
    own = json.loads(saga("deposit", "ada", "250", "--json").stdout)["deposit_id"]
    assert len(sent(own_kafka, topics.PAYMENT, deposit_id=own, amount="250")) == 1
    assert saga("receive", "MUG:100", "PEN:5", "--id", "d1", "--warehouse", "north").exit_code == 0
    [message] = sent(own_kafka, topics.INVENTORY, delivery_id="d1")
    assert message.partition() == topics.partition_of("north", PARTITIONS)


def test_policy_reaches_every_partition_with_one_id(saga: Saga, own_kafka: Broker):
    assert saga("policy", "payment", "--limit", "1500", "--id", "l1").exit_code == 0
    assert saga("policy", "shipping", "--countries", "GB,FR", "--id", "s1").exit_code == 0
    for topic, policy_id in ((topics.PAYMENT, "l1"), (topics.SHIPPING, "s1")):
        found = sent(own_kafka, topic, policy_id=policy_id)
        assert sorted(each.partition() for each in found) == list(range(PARTITIONS))


def test_topics_finds_what_is_missing_and_creates_it(
    saga: Saga, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAGA_APP_ID", "other")
    missing = saga("topics", "--check")
    assert missing.exit_code == 1
    assert "other-orders-changelog" in missing.stdout
    assert "missing" in missing.stdout
    assert saga("topics", "--create", "--check").exit_code == 0


def test_topics_names_a_wrong_partition_count(saga: Saga, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_PARTITIONS", str(PARTITIONS + 1))
    result = saga("topics", "--check")
    assert result.exit_code == 1
    assert f"{PARTITIONS} partitions, not {PARTITIONS + 1}" in result.stdout


def test_doctor_says_that_no_worker_runs(saga: Saga):
    result = saga("doctor", "--json")
    assert result.exit_code == 1
    found = {each["what"]: each for each in map(json.loads, result.stdout.splitlines())}
    assert found["broker and topics"]["ok"]
    assert not found["workers"]["ok"]


def test_a_broker_that_is_not_there_is_named(saga: Saga, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_BROKER", "127.0.0.1:1")
    monkeypatch.setattr("saga_app.commands.sending.PATIENCE", 1.0)
    result = saga("place", "--order-id", "1", "--amount", "5")
    assert result.exit_code == 1
    assert "127.0.0.1:1 did not take the record" in result.stderr


def test_the_commands_join_no_consumer_group(own_kafka: Broker):
    groups = AdminClient({"bootstrap.servers": own_kafka.address}).list_consumer_groups().result().valid
    assert groups == []
