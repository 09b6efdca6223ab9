"""`saga outbox` between a real PostgreSQL and a real Kafka: nothing is lost, counts twice or overtakes."""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.log import everything, until
from harness.orders import orders, supplies
from harness.postgres import Postgres
from harness.scene import Scene
from saga_app import topics
from saga_app.kafka.headers import actor_of
from saga_app.local.broker import Broker
from tests.outbox.shop import TABLE, BusyShop, RelayProcess, ShopDatabase

KILLS = 5


@pytest.fixture
def relay(scene: Scene, postgres_shop: ShopDatabase, tmp_path: Path) -> Iterator[RelayProcess]:
    """A relay that runs."""
    with RelayProcess(scene.broker, postgres_shop.url, tmp_path / "relay.log") as process:
        process.wait_for("relays saga_outbox")
        yield process


def in_topic(scene: Scene, topic: str = topics.CHECKOUT) -> list[dict[str, Any]]:
    """The records of a topic; those of one key in their sequence."""
    return [
        json.loads(message.value()) for message in everything(scene.broker, topic, topics.DEFAULT_PARTITIONS)
    ]


def until_relayed(shop: ShopDatabase, seconds: float = 60) -> None:
    until(
        lambda: not shop.ids("refused IS NULL"),
        seconds,
        lambda: f"rows wait: {shop.ids('refused IS NULL')[:5]}",
    )


def assert_whole(scene: Scene, till: BusyShop) -> None:
    """Every record of the till is there, and no cancellation is before its order."""
    placed: set[str] = set()
    cancelled: set[str] = set()
    for record in in_topic(scene):
        order_id = record.get("order_id", "")
        if record["type"] == "OrderPlaced":
            placed.add(order_id)
        elif record["type"] == "CancellationRequested":
            assert order_id in placed, f"the cancellation of {order_id} has overtaken its order"
            cancelled.add(order_id)
    assert placed == till.placed
    assert cancelled == till.cancelled


@pytest.mark.slow("five kills of a relay that takes seconds to start; one kill at the worst moment is quick")
def test_kill_9_under_load_loses_nothing_and_every_order_ends_once(
    scene: Scene, postgres_shop: ShopDatabase, relay: RelayProcess
):
    scene.shop.send(supplies())
    scene.worker("w1").start().ready()
    chance = random.Random(7)
    with BusyShop(postgres_shop, orders(100_000)) as till:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0, 0.5))
            relay.kill()
            relay.start().wait_for("relays saga_outbox")
    until_relayed(postgres_shop)
    assert relay.end() == 0, relay.text()
    assert len(till.placed) > 200 and till.cancelled
    assert_whole(scene, till)
    scene.endings.wait_for(len(till.placed), 60)
    ledger = scene.prove()
    assert len(ledger.orders()) == len(till.placed)


def test_a_relay_that_dies_between_the_broker_and_the_table_sends_again(
    scene: Scene, postgres_shop: ShopDatabase, tmp_path: Path
):
    scene.worker("w1").start()
    scene.shop.send(supplies())
    records = list(orders(30))
    postgres_shop.write(*records)
    dying = "from saga_app.outbox.store import OutboxStore; OutboxStore.settle = lambda *_: os.kill(os.getpid(), 9)"
    relay = RelayProcess(scene.broker, postgres_shop.url, tmp_path / "relay.log", "--once")
    assert relay.start(dying).process.wait(60) == -9, relay.text()
    assert len(in_topic(scene)) >= 30 and len(postgres_shop.ids()) == 30
    assert relay.start().process.wait(60) == 0, relay.text()
    assert "30 relayed, 0 refused" in relay.text() and postgres_shop.ids() == []
    scene.endings.wait_for(30, 60)
    placed = Counter(record["order_id"] for record in in_topic(scene) if record["type"] == "OrderPlaced")
    assert set(placed.values()) == {2}
    assert len(scene.prove().orders()) == 30


@pytest.mark.slow("two relays on a database without a lock")
def test_two_relays_without_a_lock_let_no_record_overtake_another(scene: Scene, tmp_path: Path):
    """SQLite has no lock: both send the same rows, and the saga counts them once."""
    from saga_app.outbox import process

    url = f"sqlite:///{tmp_path}/shop.db"
    process.create(url, TABLE)
    with ShopDatabase(url) as shop:
        for number in range(200):
            shop.write({"order_id": f"o-{number}", "amount": 5})
        for number in range(200):
            shop.write({"type": "CancellationRequested", "order_id": f"o-{number}"})
        both = [RelayProcess(scene.broker, url, tmp_path / f"relay-{n}.log", "--once") for n in (1, 2)]
        for each in both:
            each.start()
        assert [each.process.wait(60) for each in both] == [0, 0], [each.text() for each in both]
        assert shop.ids() == []
    placed: set[str] = set()
    cancelled: set[str] = set()
    for record in in_topic(scene):
        if record["type"] == "OrderPlaced":
            placed.add(record["order_id"])
        else:
            assert record["order_id"] in placed
            cancelled.add(record["order_id"])
    assert len(placed) == len(cancelled) == 200


def test_a_row_is_deleted_and_its_record_says_who_relayed_it(
    scene: Scene, postgres_shop: ShopDatabase, relay: RelayProcess
):
    postgres_shop.write(
        {"order_id": 1, "amount": 5},
        {"type": "FundsDeposited", "deposit_id": "d1", "customer_id": "c1", "amount": "5.00"},
    )
    until_relayed(postgres_shop)
    assert postgres_shop.ids() == []
    (message,) = everything(scene.broker, topics.CHECKOUT, topics.DEFAULT_PARTITIONS)
    assert message.key() == b"1" and message.partition() == topics.partition_of(
        "1", topics.DEFAULT_PARTITIONS
    )
    assert actor_of(message.headers())
    (deposit,) = in_topic(scene, topics.PAYMENT)
    assert deposit["deposit_id"] == "d1"


def test_a_refused_row_stays_with_its_reason_until_somebody_corrects_it(
    scene: Scene, postgres_shop: ShopDatabase, relay: RelayProcess
):
    shop = postgres_shop
    shop.write(
        {"order_id": "a", "amount": "5.001"},
        {"type": "CancellationRequested", "order_id": "a"},
        {"order_id": "b", "amount": 5},
    )
    relay.wait_for("row 1 is refused: invalid: GBP has 2 digits after the point")
    until(lambda: shop.ids() == [1, 2], 30, lambda: f"{shop.ids()}")
    assert [record["order_id"] for record in in_topic(scene)] == ["b"]
    shop.execute(
        f"UPDATE {TABLE} SET refused = NULL, payload = jsonb_set(payload, '{{amount}}', '\"5.00\"') WHERE id = 1"
    )
    until_relayed(shop)
    found = [record["type"] for record in in_topic(scene) if record["order_id"] == "a"]
    assert found == ["OrderPlaced", "CancellationRequested"]


def test_a_second_relay_stands_by_and_takes_over_when_the_first_is_killed(
    scene: Scene, postgres_shop: ShopDatabase, relay: RelayProcess, tmp_path: Path
):
    with RelayProcess(scene.broker, postgres_shop.url, tmp_path / "second.log") as second:
        second.wait_for("another relay holds the lock")
        postgres_shop.write({"order_id": 1, "amount": 5})
        until_relayed(postgres_shop)
        relay.kill()
        postgres_shop.write({"order_id": 2, "amount": 5})
        second.wait_for("relays saga_outbox")
        until_relayed(postgres_shop)
        assert second.end() == 0 and "1 relayed, 0 refused" in second.text()
    assert sorted(record["order_id"] for record in in_topic(scene)) == ["1", "2"]


def test_topics_of_another_width_end_the_relay_and_keep_the_rows(
    scene: Scene, postgres_shop: ShopDatabase, tmp_path: Path
):
    """A key would be in another partition than the saga expects it in."""
    postgres_shop.write({"order_id": 1, "amount": 5})
    relay = RelayProcess(scene.broker, postgres_shop.url, tmp_path / "relay.log", SAGA_PARTITIONS="4")
    assert relay.start().process.wait(60) == 1
    assert "checkout_events has 8 partitions, not 4" in relay.text() and postgres_shop.ids() == [1]


@pytest.mark.slow("a broker that goes away for longer than the relay waits before it looks")
def test_a_broker_that_is_away_is_waited_for_and_told_once(
    scene: Scene, kafka: Broker, postgres_shop: ShopDatabase, relay: RelayProcess
):
    with BusyShop(postgres_shop, orders(300)) as till:
        time.sleep(0.3)
        kafka.stop()
        try:
            relay.wait_for("the broker takes nothing")
            # Some further looks find the same.
            time.sleep(12)
        finally:
            kafka.start().wait()
    until_relayed(postgres_shop, 90)
    relay.wait_for("the broker takes records again")
    assert relay.text().count("the broker takes nothing") == 1
    assert relay.end() == 0
    assert_whole(scene, till)


@pytest.mark.slow("a relay that waits for a broker, and is stopped meanwhile")
def test_a_relay_that_waits_for_the_broker_ends_soon_and_keeps_the_rows(
    scene: Scene, kafka: Broker, postgres_shop: ShopDatabase, tmp_path: Path
):
    kafka.stop()
    try:
        postgres_shop.write({"order_id": 1, "amount": 5})
        with RelayProcess(scene.broker, postgres_shop.url, tmp_path / "relay.log") as relay:
            relay.wait_for("the broker takes nothing")
            began = time.monotonic()
            assert relay.end() == 0
            assert time.monotonic() - began < 10
            assert postgres_shop.ids() == [1]
    finally:
        kafka.start().wait()


@pytest.mark.slow("a database that crashes and comes back, twice")
def test_a_database_that_crashes_is_waited_for_and_nothing_is_lost(
    scene: Scene, postgres: Postgres, postgres_shop: ShopDatabase, relay: RelayProcess
):
    shop = postgres_shop
    for number, how in enumerate((signal.SIGQUIT, signal.SIGINT)):
        shop.write(*({"order_id": f"o-{number}-{n}", "amount": 5} for n in range(600)))
        postgres.stop(how)
        relay.wait_for("the database does not answer")
        postgres.start()
        relay.wait_for("relays saga_outbox")
        until_relayed(shop)
        assert relay.end() == 0
        relay.start().wait_for("relays saga_outbox")
    found = {record["order_id"] for record in in_topic(scene)}
    assert found == {f"o-{number}-{n}" for number in (0, 1) for n in range(600)}
