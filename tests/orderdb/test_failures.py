"""Failures around the copy: no record is lost or doubled, and the process reports the failure."""

import os
import signal
import socket
import sqlite3
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from harness.copies import CopyProcess, contents, copy, empty, rows, until_copied
from harness.orders import orders, supplies
from harness.postgres import Postgres
from harness.scene import Scene, clear
from saga_app import topics
from saga_app.kafka.consumer_group import committed
from saga_app.kafka.offsets import ends
from saga_app.local.broker import Broker
from saga_app.local.home import Home
from saga_app.orderdb import schema
from saga_app.orderdb.copy.source_topics import group_of
from saga_app.settings import Settings
from tests.support.brokers import BROKERS

pytestmark = pytest.mark.slow("processes, databases and brokers that go away and come back")


@pytest.fixture
def settings(scene: Scene, tmp_path: Path) -> Settings:
    """The scene's topics, and an empty SQLite database."""
    return Settings(broker=scene.broker, app_id=scene.app_id, db_url=f"sqlite:///{tmp_path}/orders.db")


def to(shop: Scene, url: str) -> Settings:
    """Settings to copy the shop's topics to this database."""
    return Settings(broker=shop.broker, app_id=shop.app_id, db_url=url)


def placed(settings: Settings) -> list[str]:
    """The ids of the orders that were placed, from the events."""
    return sorted(row["order_id"] for row in rows(settings, schema.order_events))


def test_two_processes_on_one_database_do_no_harm(filled: Settings, tmp_path: Path):
    both = [
        CopyProcess(filled, tmp_path / f"log-{n}", "orderdb", "run", "--once", records=100).start()
        for n in (1, 2)
    ]
    assert [each.wait_for_end() for each in both] == [0, 0], [each.text() for each in both]
    together = contents(filled)
    empty(filled)
    copy(filled)
    assert together == contents(filled)


def test_a_database_that_is_restarted_under_load_misses_nothing(
    shop: Scene, postgres: Postgres, tmp_path: Path
):
    calm = to(shop, f"sqlite:///{tmp_path}/orders.db")
    copy(calm)
    settings = to(shop, postgres.create("restarted"))
    process = CopyProcess(settings, tmp_path / "log", records=50).start()
    try:
        for how in (signal.SIGQUIT, signal.SIGINT):
            process.wait_for("copying")
            postgres.stop(how)
            process.wait_for("; waiting")
            postgres.start()
        until_copied(settings)
        assert process.end() == 0, process.text()
    finally:
        process.close()
    assert contents(settings) == contents(calm)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_database_file_that_goes_away_is_noticed_and_made_anew(shop: Scene, tmp_path: Path, how: str):
    """It is idle then: nothing is copied that would fail."""
    settings = to(shop, f"sqlite:///{tmp_path}/orders.db")
    process = CopyProcess(settings, tmp_path / "log").start()
    try:
        until_copied(settings)
        before = contents(settings)
        if how == "deleted":
            (tmp_path / "orders.db").unlink()
        else:
            other = to(shop, f"sqlite:///{tmp_path}/other.db")
            copy(other)
            empty(other)
            (tmp_path / "other.db").rename(tmp_path / "orders.db")
        process.wait_for("was deleted" if how == "deleted" else "was replaced by another file")
        until_copied(settings)
        assert contents(settings) == before
        assert process.end() == 0, process.text()
    finally:
        process.close()


def test_a_signal_ends_it_soon_also_where_a_database_says_nothing(shop: Scene, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://saga:secret@127.0.0.1:{silent.getsockname()[1]}/orders"
        process = CopyProcess(to(shop, url), tmp_path / "log").start()
        try:
            process.wait_for("copying")
            connection, _ = silent.accept()
            assert process.end() == 0, process.text()
            connection.close()
        finally:
            process.close()
    assert "secret" not in process.text()


def test_a_broker_that_is_away_is_waited_for(scene: Scene, settings: Settings, kafka: Broker, tmp_path: Path):
    scene.shop.send(orders(5))
    process = CopyProcess(settings, tmp_path / "log").start()
    try:
        until_copied(settings)
        kafka.stop()
        try:
            process.wait_for("waiting", 60)
        finally:
            kafka.start().wait()
        scene.shop.send(orders(5, prefix="late"))
        until_copied(settings)
        assert process.end() == 0, process.text()
    finally:
        process.close()
    assert placed(settings) == sorted([*(f"o-{n}" for n in range(5)), *(f"late-{n}" for n in range(5))])


def test_a_signal_ends_it_soon_also_where_the_broker_says_nothing(
    scene: Scene, settings: Settings, tmp_path: Path
):
    scene.shop.send(orders(5))
    process = CopyProcess(settings, tmp_path / "log").start()
    try:
        until_copied(settings)
        broker = Home(BROKERS / str(os.getpid())).saved()
        assert broker is not None
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            assert process.end(seconds=30) == 0, process.text()
        finally:
            os.kill(broker.pid, signal.SIGCONT)
    finally:
        process.close()


def test_tools_for_lag_see_how_far_it_has_got(shop: Scene, tmp_path: Path):
    settings = to(shop, f"sqlite:///{tmp_path}/orders.db")
    copy(settings)
    admin = AdminClient(settings.kafka)
    places = [(topics.CHECKOUT, partition) for partition in range(settings.partitions)]
    told = committed(settings, group_of(settings), places, 10)
    assert told == ends(admin, places)


def test_topics_that_are_made_anew_while_it_runs_are_copied_from_their_beginning(
    scene: Scene, settings: Settings, kafka: Broker, tmp_path: Path
):
    scene.shop.send(orders(50, prefix="old"))
    process = CopyProcess(settings, tmp_path / "log").start()
    try:
        until_copied(settings)
        clear(kafka.address)
        again = Scene(kafka.address, tmp_path, scene.app_id)
        again.shop.send(orders(60, prefix="new"))
        process.wait_for("made anew", 60)
        until_copied(settings)
        again.close()
        assert process.end() == 0, process.text()
    finally:
        process.close()
    assert placed(settings) == sorted(f"new-{n}" for n in range(60))


def test_records_that_were_deleted_before_they_were_copied_are_named_and_it_goes_on(
    scene: Scene, settings: Settings
):
    scene.shop.send({"order_id": "o", "amount": n} for n in range(5))
    copy(settings)
    scene.shop.send({"order_id": "o", "amount": n} for n in range(10))
    partition = topics.partition_of("o", topics.DEFAULT_PARTITIONS)
    admin = AdminClient({"bootstrap.servers": settings.broker})
    for future in admin.delete_records([TopicPartition(topics.CHECKOUT, partition, 12)]).values():
        future.result()
    said: list[str] = []
    assert copy(settings, said.append) == 3
    (words,) = said
    assert f"{topics.CHECKOUT}[{partition}]: the records from 5 to 11 were deleted" in words
    assert [row["at_offset"] for row in rows(settings, schema.order_events)] == [0, 1, 2, 3, 4, 12, 13, 14]


def test_a_row_that_nobody_of_ours_wrote_is_named_and_left_out(scene: Scene, settings: Settings):
    producer = Producer({"bootstrap.servers": settings.broker})
    foreign = (None, b"", b"{}", b'{"version":1}', b"\xff", b"[1]", b'{"version":"a","status":1,')
    for partition, value in enumerate(foreign):
        for table in ("orders", "payments", "accounts", "stock"):
            producer.produce(topics.changelog(settings.app_id, table), value, b"\xffkey", partition)
    assert producer.flush(10) == 0
    scene.shop.send(orders(1))
    said: list[str] = []
    assert copy(settings, said.append) == 1 + 4 * len(foreign)
    # The row of an evicted order is a tombstone in `orders` and `payments`.
    named = [each for each in said if ":0 is no record of ours and was left out" in each]
    assert len(named) == 4 * len(foreign) - 2
    assert placed(settings) == ["o-0"]


def test_it_follows_a_worker_and_is_killed_meanwhile(scene: Scene, settings: Settings, tmp_path: Path):
    scene.shop.send(supplies())
    scene.worker("w1").start()
    follower = CopyProcess(settings, tmp_path / "log").start()
    try:
        for number in range(3):
            scene.feed(orders(100, seed=number, prefix=f"part{number}"), until_ended=100)
            follower.kill()
            follower.start()
        scene.log.wait_until_quiet()
        until_copied(settings)
        assert follower.end() == 0, follower.text()
    finally:
        follower.close()
    told = scene.ledger().orders()
    found = {
        row["order_id"]: (row["version"], row["status"], row["reason"])
        for row in rows(settings, schema.orders)
    }
    assert found == {key: (row["version"], row["status"], row.get("reason")) for key, row in told.items()}
    copied = contents(settings)
    empty(settings)
    copy(settings)
    assert contents(settings) == copied


def test_a_database_of_a_newer_version_is_left_alone(scene: Scene, settings: Settings, tmp_path: Path):
    copy(settings)
    with sqlite3.connect(f"{tmp_path}/orders.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    process = CopyProcess(settings, tmp_path / "log").start()
    assert process.wait_for_end() == 1
    assert "was made by another version" in process.text()
    assert len(process.text().splitlines()) == 2
