"""Tables: rounds write them, people read them.

Answers these faults of stock Faust:

- a row is on disk that the changelog lacks (`docs/reference/faust.md#a9`, `docs/reference/faust.md#c1`),
- `/table/` asks the wrong worker (`docs/reference/faust.md#c14`, faust#514, faust#187, rh#180),
- Faust declares changelogs in its own way (`docs/reference/faust.md#f1`).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import murmur2
from faust import Event
from faust.app.router import Router
from faust.streams import _current_event, current_event
from faust.types import TP
from faust.types.tuples import FutureMessage
from faust.web.exceptions import NotFound, ServiceUnavailable
from yarl import URL

from saga_app import topics
from saga_app.engine.faust.app import SagaApp
from saga_app.engine.faust.tables import ReadOnly
from saga_app.engine.stores.rocks import Memory, RocksStore
from tests.engine.faust.parts import NO_BROKER, in_a_loop, message, our_app, stock_app
from tests.support.assigned import hold

PARTITIONS = 8
ROW = b'{"version":7,"status":"OPEN"}'
OTHER = URL("http://other:6066")


@contextmanager
def inside_an_agent(app: Any, topic: str) -> Iterator[None]:
    """As if an agent were at work on a record of partition 0."""
    event = Event(app, b"k", b"v", {}, message(TP(topic, 0), 0))
    token = _current_event.set(ref(event))
    try:
        assert current_event() is event
        yield
    finally:
        _current_event.reset(token)


class SendBuffer(list[FutureMessage]):
    """Stands for the producer's buffer."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        app.producer.send_soon = self.append
        app.producer.key_partition = lambda topic, key: TP(topic, murmur2(key, PARTITIONS))


class Elsewhere:
    """Stands for the assignor: every partition belongs to another worker."""

    def __init__(self, changelog: str = "") -> None:
        self.asked: list[tuple[str, bytes]] = []
        self._tps_url = {TP(changelog, part): f"{OTHER}/{part}" for part in range(PARTITIONS)}

    def key_store(self, topic: str, key: bytes) -> URL:
        self.asked.append((topic, key))
        return OTHER


def serving(folder: Path) -> SagaApp:
    """Our application after a restore."""
    app = our_app(folder, partitions=PARTITIONS)
    hold(app.engine.assignment, 3)
    return app


def holding(app: SagaApp, folder: Path, table: str, key: bytes, partition: int = 0) -> RocksStore:
    """A store of this table with one row, as after a restore."""
    store = RocksStore(folder / f"{table}.db", Memory())
    store.write({key: ROW}, 1, 1)
    app.engine.store_manager.stores[table, partition] = store
    return store


# --- writes: docs/reference/faust.md#a9, docs/reference/faust.md#c1


@in_a_loop
async def test_a_table_cannot_be_written_by_hand(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    store = holding(app, tmp_path, "orders", b"o-1")
    sent = SendBuffer(app)
    with inside_an_agent(app, "checkout_events"):
        with pytest.raises(ReadOnly, match="inbox"):
            app.tables["orders"]["o-1"] = {"version": 8}
        with pytest.raises(ReadOnly):
            del app.tables["orders"]["o-1"]
        with pytest.raises(ReadOnly):
            app.tables["orders"].clear()
    assert store.get(b"o-1") == ROW
    assert sent == [], "what is refused must not reach the changelog"


@in_a_loop
async def test_stock_faust_writes_the_row_to_disk_before_its_changelog_has_it(tmp_path: Path) -> None:
    app = stock_app(tmp_path, store="rocksdb://")
    table = app.Table("orders", partitions=1)
    table._verified_source_topics_for_partitions.add("t")
    sent = SendBuffer(app)
    with inside_an_agent(app, "t"):
        table["o-1"] = {"version": 8}
    assert table.data._db_for_partition(0).get(b'"o-1"') is not None
    assert len(sent) == 1 and not sent[0].done(), "kill -9 now, and the store knows what no changelog knows"


@in_a_loop
async def test_stock_faust_gives_up_flushing_the_changelog_before_it_commits(tmp_path: Path) -> None:
    app = stock_app(tmp_path)
    buffer = app.producer.buffer
    busy = asyncio.Event()

    async def slow_broker(future: Any) -> None:
        await busy.wait()

    buffer._send_pending = slow_broker
    for row in range(5):
        buffer.put(row)
    await buffer.start()
    await app.producer.flush()
    assert buffer.size == 4, "committing goes on as if they had been sent"
    busy.set()
    buffer.pending._queue.clear()
    await buffer.stop()


# --- reads


@in_a_loop
async def test_a_table_is_read_with_the_keys_and_rows_of_the_rounds(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    holding(app, tmp_path, "orders", b"o-1")
    table = app.tables["orders"]
    assert table["o-1"] == {"version": 7, "status": "OPEN"}
    assert "o-2" not in table
    assert dict(table.items()) == {b"o-1": {"version": 7, "status": "OPEN"}} or dict(table.items()) == {
        "o-1": {"version": 7, "status": "OPEN"}
    }
    assert len(table) == 1


@in_a_loop
async def test_a_row_is_found_in_whatever_partition_it_lies(tmp_path: Path) -> None:
    app = our_app(tmp_path, partitions=2)
    holding(app, tmp_path / "0", "orders", b"o-1", partition=0)
    holding(app, tmp_path / "1", "orders", b"o-2", partition=1)
    assert {"o-1", "o-2"} == {key for key in ("o-1", "o-2", "o-3") if key in app.tables["orders"]}


@in_a_loop
async def test_the_offset_of_a_store_is_the_one_that_the_round_wrote_with_its_rows(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    holding(app, tmp_path, "orders", b"o-1")
    place = TP("saga-orders-changelog", 0)
    table = app.tables["orders"]
    table.data.set_persisted_offset(place, 99)
    assert table.persisted_offset(place) == 0
    assert table.persisted_offset(TP("saga-orders-changelog", 1)) is None


# --- which worker has a row: docs/reference/faust.md#c14, faust#514, faust#187


@in_a_loop
async def test_a_key_is_looked_for_where_its_records_go(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    table, inbox = app.tables["orders"], app.topic("checkout_events", key_type=str, value_type=bytes)
    for key in ("o-1", "O.2_x", "7", "grün"):
        assert app.router._get_serialized_key(table, key) == inbox.prepare_key(key, None)[0] == key.encode()


@in_a_loop
async def test_stock_faust_looks_for_most_keys_in_another_partition_than_their_records_go_to(
    tmp_path: Path,
) -> None:
    app = stock_app(tmp_path)
    table, inbox = app.Table("orders", key_type=str), app.topic("checkout_events", key_type=str)
    keys = [f"o-{number}" for number in range(1000)]
    wrong = [
        key
        for key in keys
        if murmur2(app.router._get_serialized_key(table, key), PARTITIONS)
        != murmur2(inbox.prepare_key(key, None)[0], PARTITIONS)
    ]
    assert app.router._get_serialized_key(table, "o-1") == b'"o-1"'
    assert len(wrong) > 800


@in_a_loop
async def test_a_row_that_is_here_is_shown_here(tmp_path: Path) -> None:
    app = serving(tmp_path)
    for table in ("orders", "payments"):
        holding(app, tmp_path, table, b"o-1")
        app.router._assignor = Elsewhere(f"saga-{table}-changelog")
        assert app.router.key_store(table, "o-1") == URL(app.conf.canonical_url)


@in_a_loop
async def test_stock_faust_sends_people_away_from_a_row_that_is_here(tmp_path: Path) -> None:
    app = stock_app(tmp_path)
    table = app.Table("payments", key_type=str)
    table.data.data[b'"o-1"'] = ROW
    router = Router(app)
    router._assignor = Elsewhere()
    assert table.data.get(b'"o-1"', None) is not None or b'"o-1"' in table.data.data
    assert router.key_store("payments", "o-1") == OTHER


@in_a_loop
async def test_a_row_that_follows_from_its_key_is_asked_for_at_its_worker(tmp_path: Path) -> None:
    app = serving(tmp_path)
    app.router._assignor = Elsewhere("saga-orders-changelog")
    for key in ("o-1", "o-2", "o-3"):
        partition = topics.partition_of(key, PARTITIONS)
        assert app.router.key_store("orders", key) == URL(f"{OTHER}/{partition}")


@in_a_loop
async def test_stock_faust_cannot_say_where_a_row_is_before_it_has_written_to_the_changelog(
    tmp_path: Path,
) -> None:
    app = stock_app(tmp_path)
    app.Table("orders", key_type=str)
    app.producer._producer = AIOKafkaProducer(bootstrap_servers=NO_BROKER)
    with pytest.raises(TypeError):
        Router(app).key_store("orders", "o-1")


@in_a_loop
async def test_a_worker_that_restores_asks_people_to_come_again(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="again"):
        our_app(tmp_path).router.key_store("orders", "o-1")


@in_a_loop
async def test_where_a_row_may_be_elsewhere_people_are_told_so(tmp_path: Path) -> None:
    app = serving(tmp_path)
    with pytest.raises(NotFound, match="may be in another worker"):
        app.router.key_store("payments", "o-1")
    with pytest.raises(NotFound, match="no table cakes"):
        app.router.key_store("cakes", "o-1")


@in_a_loop
async def test_stock_faust_answers_that_a_partition_is_unassigned_where_there_is_no_such_table(
    tmp_path: Path,
) -> None:
    with pytest.raises(KeyError):
        Router(stock_app(tmp_path)).key_store("cakes", "o-1")


# --- `faust reset`


@in_a_loop
async def test_reset_removes_the_rows_of_a_table_and_of_no_other(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    folder = app.settings.data_dir / "tables"
    for name in ("orders-0", "orders-1", "stock-0"):
        store = RocksStore(folder / f"{name}.db", Memory())
        store.write({b"k": ROW}, 1)
        store.close()
    app.tables["orders"].reset_state()
    assert sorted(path.name for path in folder.iterdir()) == ["stock-0.db"]


# --- topics are not declared by Faust


class Declared(list[dict[str, Any]]):
    """Stands for the producer: keeps the topics that it is told to create."""

    def __init__(self, app: Any) -> None:
        super().__init__()

        async def create_topic(**options: Any) -> None:
            self.append(options)

        async def started() -> Any:
            return app.producer

        app.producer.create_topic = create_topic
        app.maybe_start_producer = started


@in_a_loop
async def test_a_table_does_not_declare_its_changelog(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    app.conf.topic_allow_declare = True
    declared = Declared(app)
    for table in app.tables.values():
        await table.on_start()
    assert declared == []


@in_a_loop
async def test_stock_faust_declares_changelogs_that_lose_rows_to_compaction_at_once(tmp_path: Path) -> None:
    app = stock_app(tmp_path)
    declared = Declared(app)
    await app.Table("orders").on_start()
    assert [each["compacting"] for each in declared] == [True]
    assert "min.compaction.lag.ms" not in {**(declared[0]["config"] or {})}


@in_a_loop
async def test_the_consumer_creates_no_topic_even_if_faust_may_declare(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    app.conf.topic_allow_declare = True
    asked: list[str] = []

    async def create_topic(topic: str, *args: Any, **options: Any) -> None:
        asked.append(topic)

    app.consumer._thread.create_topic = create_topic
    await app.consumer.create_topic("t", 1, 1)
    assert asked == []


@in_a_loop
async def test_stock_faust_creates_topics_that_it_does_not_find(tmp_path: Path) -> None:
    app = stock_app(tmp_path)
    asked: list[str] = []

    async def create_topic(topic: str, *args: Any, **options: Any) -> None:
        asked.append(topic)

    app.consumer._thread.create_topic = create_topic
    await app.consumer.create_topic("t", 1, 1)
    assert asked == ["t"]
