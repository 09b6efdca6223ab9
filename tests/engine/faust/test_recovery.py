"""Restoring tables: each row in its own table, the newest of a key, from whatever is left of the changelog.

Answers faust#176, faust#373, faust#597 (a changelog whose beginning is gone) and `docs/reference/faust.md#c5` (rows of
one table applied to another); see also `test_delivery` (records skipped at the end of recovery) and `test_changelogs`.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition
from faust import Event
from faust.types import TP

from saga_app import topics
from saga_app.core.numbers import Generation, Offset
from saga_app.engine.deadlines import DeadlineTimer
from saga_app.engine.engine import Engine
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.faust.app import SagaApp
from saga_app.engine.ports import DeliveryFailed
from saga_app.engine.retention import Ages, RetentionTimer
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Offsets, Outgoing
from saga_app.local.broker import Broker
from tests.engine.faust.parts import (
    Resting,
    in_a_loop,
    make_topics,
    message,
    our_app,
    stock_app,
    unique,
    until,
    write,
)

TABLES = ("orders", "payments", "accounts", "reservations", "stock", "shipments")


def row(version: int, text: str = "") -> bytes:
    return b'{"version":%d,"text":"%s"}' % (version, text.encode())


@pytest.fixture
def restoring(kafka: Broker, tmp_path: Path) -> Iterator[SagaApp]:
    """Our application with its changelogs on a real broker; its engine restores, and reads nothing."""
    app = our_app(tmp_path, kafka.address, unique("saga"))
    make_topics(kafka.address, *(topics.changelog(app.settings.app_id, table) for table in TABLES))
    app.engine.store_manager.start()
    yield app
    app.engine.store_manager.close()


def restore(engine: Engine) -> dict[str, dict[bytes, bytes]]:
    """Restores partition 0; the rows of each table."""
    engine.store_manager.restore([0], lambda: True)
    return {table: dict(engine.store_manager.stores[table, 0].scan()) for table in TABLES}


# --- each row in its own table: docs/reference/faust.md#c5


@pytest.mark.live
def test_a_row_is_restored_into_the_table_of_its_changelog_only(restoring: SagaApp) -> None:
    app_id = restoring.settings.app_id
    for table in TABLES:
        write(restoring.settings.broker, topics.changelog(app_id, table), [row(1, table)], keys=[b"same:1"])
    assert restore(restoring.engine) == {table: {b"same:1": row(1, table)} for table in TABLES}


@in_a_loop
async def test_faust_restores_nothing_itself(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    place = TP(topics.changelog("saga", "orders"), 0)
    app.tables.changelog_queue._maxsize = 10
    app.tables.changelog_queue.put_nowait(Event(app, b"k", row(1), {}, message(place, 0)))
    await app.tables.recovery._slurp_changelogs.fun(app.tables.recovery)
    assert app.tables.changelog_queue.qsize() == 1


@in_a_loop
async def test_stock_faust_applies_rows_of_an_unknown_changelog_to_another_table(tmp_path: Path) -> None:
    app = stock_app(tmp_path, stream_buffer_maxsize=10)
    table = app.Table("orders")
    recovery = app.tables.recovery
    ours, unknown = TP("stock-orders-changelog", 0), TP("stock-orders-changelog", 1)
    recovery.active_tps.add(ours)
    recovery.tp_to_table[ours] = table
    recovery.active_highwaters[ours] = 1000
    recovery.active_offsets[ours] = -1
    for place, offset in ((ours, 0), (unknown, 7)):
        app.tables.changelog_queue.put_nowait(Event(app, b"k", b"v", {}, message(place, offset)))
    reading = asyncio.ensure_future(recovery._slurp_changelogs.fun(recovery))
    await until(lambda: len(recovery.buffers[table]) == 2)
    reading.cancel()
    assert [event.message.tp for event in recovery.buffers[table]] == [ours, unknown]


# --- a start: docs/reference/faust.md#e3


async def slept_before_the_start_of(tables: Any, monkeypatch: pytest.MonkeyPatch) -> list[float | str]:
    """The steps of a table manager's start, and the seconds that it sleeps."""
    steps: list[float | str] = []

    async def sleep(seconds: float) -> None:
        steps.append(seconds)

    async def update() -> None:
        steps.append("channels")

    async def start() -> None:
        steps.append("recovery")

    monkeypatch.setattr(tables, "sleep", sleep)
    monkeypatch.setattr(tables, "_update_channels", update)
    monkeypatch.setattr(tables.recovery, "start", start)
    await tables.on_start()
    return steps


@in_a_loop
async def test_tables_start_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await slept_before_the_start_of(our_app(tmp_path).tables, monkeypatch) == ["channels", "recovery"]


@in_a_loop
async def test_stock_faust_sleeps_a_second_before_its_tables_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = await slept_before_the_start_of(stock_app(tmp_path).tables, monkeypatch)
    assert stock == [1.0, "channels", "recovery"]


# --- a changelog whose beginning is gone: faust#176, faust#373, faust#597


@pytest.mark.live
def test_a_changelog_whose_beginning_was_deleted_is_read_by_a_disk_that_holds_it_and_by_no_other(
    restoring: SagaApp,
) -> None:
    changelog, manager = topics.changelog(restoring.settings.app_id, "orders"), restoring.engine.store_manager
    keys = [b"%d" % at for at in range(10)]
    write(restoring.settings.broker, changelog, [row(at) for at in range(10)], keys=keys)
    restore(restoring.engine)
    admin = Admin(restoring.settings)
    gone = admin.delete_records([TopicPartition(changelog, 0, 6)])
    for future in gone.values():
        future.result(20)
    found = manager.restore([0], lambda: True)
    log = WrittenAgain(10)
    asyncio.run(manager.repair(found, log, Generation(1)))
    assert sorted(each.key or b"" for each in log.records) == keys[:6]
    assert manager.stores["orders", 0].reached == 16
    manager.close()
    manager.folder /= "empty"
    with pytest.raises(Fatal, match="it begins at offset 6, and nobody knows the rows before it") as ended:
        restore(restoring.engine)
    assert ended.value.exit is Exit.ROWS_LOST


@in_a_loop
async def test_stock_faust_starts_before_the_first_row_that_is_there(tmp_path: Path) -> None:
    recovery = stock_app(tmp_path).tables.recovery
    place = TP("stock-orders-changelog", 0)
    sought: list[dict[TP, int]] = []

    class CutChangelog:
        """The first row that is left has offset 6."""

        async def earliest_offsets(self, *places: TP) -> dict[TP, int]:
            return {place: 6}

        async def seek_wait(self, offsets: dict[TP, int]) -> None:
            sought.append(offsets)

    offsets: Any = Counter()
    offsets[place] = None
    await recovery._build_offsets(CutChangelog(), {place}, offsets, "active")
    await recovery._seek_offsets(CutChangelog(), {place}, offsets, "active")
    assert sought == [{place: 5}], "out of range; without a reset to the beginning, it waits for ever"


# --- rows of a worker that had already lost its partitions


@pytest.mark.live
def test_the_row_with_the_highest_version_is_restored_where_an_older_one_lies_behind_it(
    restoring: SagaApp,
) -> None:
    changelog = topics.changelog(restoring.settings.app_id, "accounts")
    write(restoring.settings.broker, changelog, [row(5, "new"), row(3, "stale")], keys=[b"C1:EUR", b"C1:EUR"])
    found = restoring.engine.store_manager.restore([0], lambda: True)
    assert restoring.engine.store_manager.stores["accounts", 0].get(b"C1:EUR") == row(5, "new")
    assert found["accounts", 0][1].repairs == {b"C1:EUR": row(5, "new")}


@in_a_loop
async def test_stock_faust_restores_the_row_that_was_written_last(tmp_path: Path) -> None:
    app = stock_app(tmp_path, store="rocksdb://")
    table = app.Table("accounts", partitions=1)
    place = TP("stock-accounts-changelog", 0)
    events = [
        Event(app, b"C1", value, {}, message(place, offset, value))
        for offset, value in enumerate((row(5, "new"), row(3, "stale")))
    ]
    table.data.apply_changelog_batch(events, lambda key: key, lambda value: value)
    assert table.data._db_for_partition(0).get(b"key") == row(3, "stale")


# --- a restore that is overtaken by the next rebalance


@pytest.mark.live
@in_a_loop
async def test_rows_that_an_overtaken_restore_loaded_late_are_dropped(kafka: Broker, tmp_path: Path) -> None:
    """Its files are closed: a retention timer that looked into them would end the worker."""
    app = our_app(tmp_path, kafka.address, unique("saga"), partitions=2)
    make_topics(
        kafka.address, *(topics.changelog(app.settings.app_id, table) for table in TABLES), partitions=2
    )
    engine: Any = app.engine
    engine.store_manager.start()
    engine.log = engine.reader = Resting()
    engine.clock = DeadlineTimer(engine.log)
    engine.retention = RetentionTimer(engine.log, 2, Ages(1, None))
    load, loading, released = engine._load_senders, threading.Event(), threading.Event()

    def load_late(partitions: list[int]) -> None:
        loading.set()
        assert released.wait(10)
        load(partitions)

    engine._load_senders = load_late
    engine.assign([0, 1], 1)
    overtaken = asyncio.create_task(engine.prepare(1))
    assert await asyncio.to_thread(loading.wait, 10)
    engine.suspend()
    engine.assign([0], 2)
    following = asyncio.create_task(engine.prepare(2))
    released.set()
    await overtaken
    await following
    assert [record.partition for record in engine.retention.due()] == [0]
    engine.store_manager.close()


# --- a store that does not fit its changelog


@pytest.mark.live
def test_rows_of_a_changelog_that_was_deleted_and_made_again_are_kept_and_written_again(
    restoring: SagaApp,
) -> None:
    engine, changelog = restoring.engine, topics.changelog(restoring.settings.app_id, "stock")
    write(restoring.settings.broker, changelog, [row(1), row(2)], keys=[b"old:1", b"both:1"])
    assert restore(engine)["stock"] == {b"old:1": row(1), b"both:1": row(2)}
    engine.store_manager.close()
    admin = Admin(restoring.settings)
    for future in admin.delete_topics([changelog]).values():
        future.result(20)
    made_again(restoring.settings.broker, changelog)
    write(restoring.settings.broker, changelog, [row(1), row(3)], keys=[b"new:1", b"both:1"])
    held = {b"old:1": row(1), b"both:1": row(3), b"new:1": row(1)}
    log = WrittenAgain(2)
    for _ in range(2):
        # A crash before it is done leaves all of it to be done again.
        found = engine.store_manager.restore([0], lambda: True)
        assert dict(engine.store_manager.stores["stock", 0].scan()) == held
        assert found["stock", 0].is_lost
        engine.store_manager.close()
    found = engine.store_manager.restore([0], lambda: True)
    asyncio.run(engine.store_manager.repair(found, log, Generation(1)))
    assert [(each.key, each.value) for each in log.records] == [(b"old:1", row(1))]
    assert engine.store_manager.stores["stock", 0].reached == 3


class WrittenAgain:
    """A log that takes rows behind those that are there."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.records: list[Outgoing] = []

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        self.records += records
        place = records[0].topic, records[0].partition or 0
        return {place: [Offset(self.end + at) for at in range(len(records))]}


def made_again(address: str, name: str) -> None:
    """A topic can be made again as soon as its deletion is complete."""
    for _ in range(100):
        with suppress(KafkaException):
            make_topics(address, name)
            return
    pytest.fail(f"{name} is still being deleted")


# --- a failure ends the process


@in_a_loop
async def test_a_repair_that_fails_ends_the_process(tmp_path: Path) -> None:
    engine = our_app(tmp_path).engine

    async def fails(found: object, generation: Generation) -> None:
        raise DeliveryFailed("payments changelog")

    engine.store_manager.restore = lambda partitions, goes_on: {}  # type: ignore[method-assign]
    engine.store_manager.repair = fails  # type: ignore[assignment,method-assign]
    engine.assign([0], Generation(3))
    with pytest.raises(Fatal) as ended:
        await engine._prepare(Generation(3))
    assert ended.value.exit is Exit.RESTORE_FAILED
