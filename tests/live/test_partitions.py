"""A record in the wrong partition, as tools send it that give no key, is sent on once and then applied."""

import json
from typing import Any

import pytest

from harness.orders import Sent
from harness.scene import Scene
from saga_app import topics
from saga_app.kafka.headers import SENT_ON

#: One of each kind that people send, by inbox; the text is the key that decides over the partition.
KINDS: list[tuple[str, str, Sent]] = [
    (topics.PAYMENT, "ada", {"type": "FundsDeposited", "deposit_id": "d", "amount": "50.00"}),
    (
        topics.INVENTORY,
        "far",
        {"type": "StockReceived", "delivery_id": "s", "lines": [{"sku": "MUG", "quantity": 9}]},
    ),
    (topics.CHECKOUT, "order", {"type": "OrderPlaced"}),
    (topics.CHECKOUT, "order", {"type": "CancellationRequested"}),
]
#: Where the record's partition comes from.
FIELD = {
    "FundsDeposited": "customer_id",
    "StockReceived": "warehouse",
    "OrderPlaced": "order_id",
    "CancellationRequested": "order_id",
}


def record(kind: Sent, key: str) -> Sent:
    """The record for this customer, warehouse or order."""
    fields = {**kind, FIELD[kind["type"]]: key}
    if kind["type"] == "OrderPlaced":
        lines = [{"sku": "MUG", "quantity": 1, "unit_price": "20.00"}]
        fields |= {
            "customer_id": key.replace("order", "ada"),
            "warehouse": key.replace("order", "far"),
            "lines": lines,
        }
    return fields


def wrong(key: str) -> int:
    """A partition where records of this key do not belong."""
    return (topics.partition_of(key, topics.DEFAULT_PARTITIONS) + 3) % topics.DEFAULT_PARTITIONS


@pytest.mark.parametrize(
    "keyed",
    [
        pytest.param(False, id="no key"),
        pytest.param(
            True, id="wrong partition named", marks=pytest.mark.slow("another way to a wrong partition")
        ),
    ],
)
def test_a_misrouted_record_is_sent_on_once_and_applied(scene: Scene, keyed: bool) -> None:
    """Each of 10 deposits, deliveries, orders and cancellations is applied exactly once, where it belongs."""
    worker = scene.worker("w1").start().ready()
    misrouted = 0
    for topic, stem, kind in KINDS:
        for number in range(10):
            key = f"{stem}-{number}"
            value = json.dumps(record(kind, key)).encode()
            if keyed:
                scene.shop.raw(topic, value, key.encode(), partition=wrong(key))
            else:
                scene.shop.raw(topic, value, partition=wrong(key))
            misrouted += 1
        scene.shop.flush()
        scene.log.wait_until_quiet()
    ledger = scene.prove()
    sent_on = [each for name in topics.INBOXES for each in ledger.inboxes[name] if is_sent_on(each)]
    assert len(sent_on) == misrouted, (
        f"{misrouted} records were in a wrong partition, {len(sent_on)} were sent on"
    )
    assert ledger.statuses() == {"COMPLETED": 10}
    assert {row["balance"] for row in ledger.rows("accounts").values()} == {"30.00"}
    assert {row["available"] for row in ledger.rows("stock").values()} == {8}
    assert worker.text().count("too late to cancel: the order is completed") >= 10


@pytest.mark.slow("another way to a wrong partition")
def test_a_record_without_key_or_partition_is_applied_wherever_it_falls(scene: Scene) -> None:
    """`kafka-console-producer` gives neither: 40 orders, spread by the producer, all complete."""
    scene.worker("w1").start().ready()
    for number in range(40):
        scene.shop.raw(topics.CHECKOUT, json.dumps({"order_id": number, "amount": 5}).encode())
    scene.shop.flush()
    scene.endings.wait_for(40, 60)
    assert scene.prove().statuses() == {"COMPLETED": 40}


@pytest.mark.slow("another way to a wrong partition")
def test_a_record_that_was_sent_on_and_is_still_wrong_is_a_dead_letter(scene: Scene) -> None:
    """It would go round for ever otherwise."""
    scene.worker("w1").start().ready()
    for topic, stem, kind in KINDS:
        value = json.dumps(record(kind, stem)).encode()
        scene.shop.raw(topic, value, stem.encode(), partition=wrong(stem), headers=[(SENT_ON, b"1")])
    scene.shop.flush()
    ledger = scene.prove(dead_letters=len(KINDS))
    assert {each.reason for each in ledger.dead} == {"wrong_partition"}
    assert not ledger.orders() and not ledger.rows("payments")


def is_sent_on(message: Any) -> bool:
    return any(name == SENT_ON for name, _ in message.headers() or ())
