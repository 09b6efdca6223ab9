"""The records that `saga` sends, read back from a real broker."""

import json
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from harness.log import everything
from saga_app import topics, wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset, version_at
from saga_app.core.records import (
    CancellationRequested,
    FundsDeposited,
    FundsWithdrawn,
    OrderPlaced,
    Reason,
    StepName,
    StockAdjusted,
    StockReceived,
)
from saga_app.core.rows import JournalRow, State
from saga_app.dead_letters.format import dead_letter
from saga_app.dead_letters.outcome import OutcomeReader
from saga_app.kafka.messages import Message, Outgoing
from saga_app.kafka.sender import DeliveryUnknown, Sender, Sent, checked
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.commands.dead_letter_topic import PARTITIONS, Saga

pytestmark = pytest.mark.live


def sent(broker: Broker, topic: str, **wanted: Any) -> list[Any]:
    """The messages of a topic that have these fields."""
    messages = everything(broker.address, topic, PARTITIONS)
    return [each for each in messages if wanted.items() <= json.loads(each.value()).items()]


def records(broker: Broker, topic: str, **wanted: Any) -> list[Any]:
    """The same, as a worker reads them."""
    return [wire.decode(each.value()) for each in sent(broker, topic, **wanted)]


def test_an_order_from_options_is_read_by_a_worker_as_it_was_meant(saga: Saga, own_kafka: Broker):
    options = (
        "--order-id p1 --customer ada --line PEN:1:0.99 --line MUG:2:12.50 --country FR --warehouse north"
    )
    result = saga("place", *options.split(), "--currency", "EUR", "--json")
    assert result.exit_code == 0, result.stderr
    [record] = records(own_kafka, topics.CHECKOUT, order_id="p1")
    assert isinstance(record, OrderPlaced)
    assert json.loads(record.order.canonical) == {
        "order_id": "p1",
        "customer_id": "ada",
        "currency": "EUR",
        "amount": "25.99",
        "country": "FR",
        "warehouse": "north",
        "lines": [{"sku": "MUG", "quantity": 2}, {"sku": "PEN", "quantity": 1}],
    }


def test_an_order_is_keyed_by_its_id_and_the_result_says_where_it_stands(saga: Saga, own_kafka: Broker):
    result = saga("place", '{"order_id": 4711, "amount": 1e2}', "--json")
    [message] = sent(own_kafka, topics.CHECKOUT, order_id="4711")
    assert message.key() == b"4711"
    assert message.partition() == topics.partition_of("4711", PARTITIONS)
    assert json.loads(result.stdout) == {
        "order_id": "4711",
        "topic": topics.CHECKOUT,
        "partition": message.partition(),
        "offset": message.offset(),
        "page": "http://127.0.0.1:6066/orders/4711/",
    }


def test_people_are_told_the_id_and_the_page(saga: Saga):
    result = saga("place", "--order-id", "p2", "--amount", "5")
    assert result.stdout.startswith("order p2 sent to checkout_events:")
    assert result.stdout.endswith("; see http://127.0.0.1:6066/orders/p2/\n")
    assert result.stderr.startswith("saga: no worker of the group saga runs")


def test_of_a_file_the_good_lines_are_sent_and_the_bad_ones_named(saga: Saga, own_kafka: Broker):
    lines = (
        '{"order_id": "f1", "amount": 5}\nbad\n\n{"order_id": "f2"}\r\n{"order_id": "f3", "amount": "1.00"}'
    )
    result = saga("place", "-", input=lines)
    assert result.exit_code == 2
    assert [line[: len("saga: line 2: ")] for line in result.stderr.splitlines()] == [
        "saga: line 2: ",
        "saga: line 4: ",
        "saga: no worke",
    ]
    assert result.stdout.startswith("orders sent: 2, refused: 2;")
    assert [len(sent(own_kafka, topics.CHECKOUT, order_id=each)) for each in ("f1", "f2", "f3")] == [1, 0, 1]


def test_with_json_each_order_of_a_file_has_its_own_place(saga: Saga, own_kafka: Broker, tmp_path: Any):
    file = tmp_path / "orders.jsonl"
    file.write_text("".join(f'{{"order_id": "j{number}", "amount": 1}}\n' for number in range(500)))
    result = saga("place", "--file", str(file), "--json")
    assert result.exit_code == 0, result.stderr
    told = [json.loads(line) for line in result.stdout.splitlines()]
    there = {
        json.loads(each.value())["order_id"]: (each.partition(), each.offset())
        for each in everything(own_kafka.address, topics.CHECKOUT, PARTITIONS)
    }
    assert [each["order_id"] for each in told] == [f"j{number}" for number in range(500)]
    assert all(there[each["order_id"]] == (each["partition"], each["offset"]) for each in told)


def test_cancel_sends_a_request_with_its_note(saga: Saga, own_kafka: Broker):
    assert saga("cancel", "c1", "--note", "customer called", "--timeout", "0").exit_code == 0
    assert records(own_kafka, topics.CHECKOUT, order_id="c1") == [
        CancellationRequested(order_id="c1", note="customer called")
    ]


def test_cancel_says_when_no_worker_takes_the_request(saga: Saga, own_kafka: Broker):
    result = saga("cancel", "c2", "--timeout", "0.1")
    assert result.exit_code == 0 and "no worker has taken the request in 0.1 s" in result.stderr
    assert len(records(own_kafka, topics.CHECKOUT, order_id="c2")) == 1


def test_cancel_says_when_its_request_is_a_dead_letter(
    saga: Saga, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch
):
    """The broker is real; the worker that rejects the request is played by its dead letter."""
    send = Sender.send

    def rejected(self: Sender, record: Any) -> Sent:
        at = send(self, record)
        message = Message(Offset(at.offset), 1, b"c3", wire.encode(record))
        rejection = Rejected(Fault.NOT_SIGNED, "no service signed it")
        self.post([dead_letter(at.topic, at.partition, message, rejection)])
        return at

    monkeypatch.setattr(Sender, "send", rejected)
    result = saga("cancel", "c3")
    assert result.exit_code == 1
    assert "the cancellation of order c3 is a dead letter, not_signed" in result.stderr


def test_a_deposit_goes_to_its_customer_under_an_id_that_is_made_or_given(saga: Saga, own_kafka: Broker):
    result = json.loads(saga("deposit", "ada", "250", "--json").stdout)
    assert len(result["deposit_id"]) == 32
    assert result["pages"] == ["http://127.0.0.1:6066/table/accounts/ada:GBP/"]
    [message] = sent(own_kafka, topics.PAYMENT, deposit_id=result["deposit_id"])
    assert message.key() == b"ada"
    assert message.partition() == topics.partition_of("ada", PARTITIONS)
    saga("deposit", "bob", "30.50", "--currency", "EUR", "--id", "refund-17")
    [record] = records(own_kafka, topics.PAYMENT, deposit_id="refund-17")
    assert isinstance(record, FundsDeposited)
    assert (record.customer_id, record.currency, str(record.amount)) == ("bob", "EUR", "30.50")


def test_a_delivery_goes_to_its_warehouse_as_one_record(saga: Saga, own_kafka: Broker):
    result = saga("receive", "MUG:100", "PEN:5", "--id", "d1", "--warehouse", "north", "--json")
    [message] = sent(own_kafka, topics.INVENTORY, delivery_id="d1")
    assert message.partition() == topics.partition_of("north", PARTITIONS)
    record = wire.decode(message.value())
    assert isinstance(record, StockReceived)
    assert [(line.sku, line.quantity) for line in record.lines] == [("MUG", 100), ("PEN", 5)]
    assert [page.rsplit("/", 2)[1] for page in json.loads(result.stdout)["pages"]] == [
        "north:MUG",
        "north:PEN",
    ]


@pytest.mark.parametrize(
    ("command", "topic", "field", "value"),
    [
        ("payment --limit 1500", topics.PAYMENT, "limit", "1500"),
        ("shipping --countries GB,FR", topics.SHIPPING, "countries", ["GB", "FR"]),
    ],
)
def test_a_policy_is_one_record_for_the_partition_that_sends_it_to_all(
    saga: Saga, own_kafka: Broker, command: str, topic: str, field: str, value: Any
):
    policy_id = json.loads(saga("policy", *command.split(), "--json").stdout)["policy_id"]
    found = sent(own_kafka, topic, policy_id=policy_id)
    assert [each.partition() for each in found] == [topics.POLICY_PARTITION]
    assert json.loads(found[0].value())[field] == value


@pytest.mark.parametrize("command", ["place --order-id 1 --amount 5", "policy payment --limit 1"])
def test_nothing_is_sent_to_a_topic_with_another_partition_count(
    saga: Saga, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch, command: str
):
    """The record would land where no worker looks for it."""
    before = [len(everything(own_kafka.address, topic, PARTITIONS)) for topic in topics.INBOXES]
    monkeypatch.setenv("SAGA_PARTITIONS", str(PARTITIONS - 1))
    result = saga(*command.split())
    assert result.exit_code == 1
    assert f"has {PARTITIONS} partitions, not {PARTITIONS - 1}; SAGA_PARTITIONS is for life" in result.stderr
    assert before == [len(everything(own_kafka.address, topic, PARTITIONS)) for topic in topics.INBOXES]


def test_a_topic_that_is_missing_is_named_with_the_command_that_makes_it(
    saga: Saga, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("saga_app.kafka.sender.TOPIC_TIMEOUT", 0.0)
    monkeypatch.setattr(topics, "topic_of", lambda record: "not_there")
    result = saga("cancel", "1")
    assert result.exit_code == 1
    assert "topic not_there is not on" in result.stderr
    assert "saga topics --create" in result.stderr


def test_without_an_answer_it_is_not_known_whether_a_record_is_there(
    saga: Saga, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch
):
    sender = Sender(Settings.read())
    record = checked({"type": "CancellationRequested", "order_id": "u1"})
    sender.send(record)
    monkeypatch.setattr("saga_app.kafka.sender.TIMEOUT", 1.0)
    sender._producer = sender._connected()
    own_kafka.pause()
    try:
        with pytest.raises(DeliveryUnknown, match="took 0 of 1 records within 1 s"):
            sender.send(record)
    finally:
        own_kafka.resume()


@pytest.mark.parametrize(
    "command",
    ["deposit ada 5", "receive MUG:1", "policy payment --limit 5"],
    ids=lambda command: command.split()[0],
)
def test_when_it_is_not_known_the_id_to_repeat_it_with_is_told(
    saga: Saga, monkeypatch: pytest.MonkeyPatch, command: str
):
    """A new id would count the same money twice."""

    def unsure(*arguments: Any) -> None:
        raise DeliveryUnknown("no answer")

    monkeypatch.setattr(Sender, "post", unsure)
    result = saga(*command.split())
    assert result.exit_code == 1
    assert len(result.stderr.split("--id ")[1].strip()) == 32


def test_sending_joins_no_consumer_group(saga: Saga, own_kafka: Broker):
    admin = AdminClient({"bootstrap.servers": own_kafka.address})

    def groups() -> set[str]:
        return {each.group_id for each in admin.list_consumer_groups().result().valid}

    before = groups()
    assert saga("place", "--order-id", "g1", "--amount", "5").exit_code == 0
    assert groups() == before


def test_a_withdrawal_and_an_adjustment_are_sent_with_their_reasons(saga: Saga, own_kafka: Broker):
    words = ("--reason", "fee", "--note", "chargeback", "--id", "w1", "--timeout", "0")
    assert saga("withdraw", "ada", "5.00", *words).exit_code == 0
    [record] = records(own_kafka, topics.PAYMENT, withdrawal_id="w1")
    assert isinstance(record, FundsWithdrawn)
    assert (record.customer_id, str(record.amount), record.reason, record.note) == (
        "ada",
        "5.00",
        "fee",
        "chargeback",
    )
    words = ("MUG:-3", "PEN:+2", "--reason", "stocktake", "--id", "a1", "--timeout", "0")
    assert saga("adjust", *words).exit_code == 0
    [record] = records(own_kafka, topics.INVENTORY, adjustment_id="a1")
    assert isinstance(record, StockAdjusted)
    assert [(line.sku, line.quantity) for line in record.lines] == [("MUG", -3), ("PEN", 2)]


@pytest.mark.parametrize(
    "words", [("MUG", "--reason", "damage"), ("MUG:3", "--reason", "damage"), ("MUG:-3",)]
)
def test_an_adjustment_that_says_too_little_or_finds_damage_is_not_sent(saga: Saga, words: tuple[str, ...]):
    assert saga("adjust", *words).exit_code == 2


def test_a_refused_withdrawal_has_an_exit_code_and_an_id_that_was_decided_before_is_told(
    saga: Saga, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch
):
    """The broker is real; the worker is played by the row that it writes, and by having taken the record."""
    monkeypatch.setattr(OutcomeReader, "letter", lambda self, sent, seconds: None)
    row = JournalRow(
        version_at(1), State.REFUSED, "c", reason=Reason.INSUFFICIENT_FUNDS, step=StepName.PAYMENT
    )
    send = Sender.send

    def decided(self: Sender, record: Any) -> Sent:
        at = send(self, record)
        if record.withdrawal_id == "w2":
            topic, key = topics.changelog("saga", "payments"), b"withdrawal:ada:w2"
            self.post([Outgoing(topic, key, row.encode(), at.partition)])
        return at

    monkeypatch.setattr(Sender, "send", decided)
    refused = saga("withdraw", "ada", "5.00", "--id", "w2")
    assert refused.exit_code == 1
    assert "withdrawal w2 is refused: insufficient funds; nothing was changed" in refused.stderr
    again = saga("withdraw", "ada", "5.00", "--id", "w3")
    assert again.exit_code == 0 and "withdrawal w3 was decided before" in again.stderr
