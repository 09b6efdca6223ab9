"""How records reach the agents: whole batches, of the present generation, and only after the restore.

Answers the 50 to 200 us per record of Faust's fetch loop (`docs/reference/faust.md#e1`), and the 549 of 6,000 waiting
records that it skipped at a start with tables to restore (`docs/reference/faust.md#a23`).
"""

import asyncio
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from faust.types import TP
from mode import Service

from saga_app import topics
from saga_app.engine.faust.consumer import SagaConsumer
from saga_app.engine.stores.manager import Superseded
from saga_app.kafka.messages import Batch, Message
from tests.engine.faust.parts import in_a_loop, our_app, our_consumer, stock_app, stock_consumer, until
from tests.support.assigned import hold

PLACE = TP(topics.PAYMENT, 0)
GENERATION = 3


def batch(start: int, end: int, generation: int = GENERATION) -> Batch:
    return Batch(0, start, end, generation, [Message(at, 0, b"k", b"{}") for at in range(start, end)])


def records(start: int, end: int) -> dict[TP, list[Any]]:
    """As aiokafka hands them over."""
    return {
        PLACE: [
            SimpleNamespace(
                topic=PLACE.topic,
                partition=0,
                offset=at,
                timestamp=0,
                timestamp_type=0,
                headers=[],
                key=b"k",
                value=b"{}",
                checksum=None,
                serialized_key_size=1,
                serialized_value_size=2,
            )
            for at in range(start, end)
        ]
    }


def delivering(folder: Path) -> tuple[SagaConsumer, list[Any]]:
    """Our consumer at a generation, and what it hands to Faust."""
    consumer, _ = our_consumer(our_app(folder), PLACE)
    hold(consumer.app.engine.assignment, GENERATION)
    handed: list[Any] = []

    async def callback(event: Any) -> None:
        handed.append(event)

    consumer.callback = callback
    return consumer, handed


def stock_fetching(folder: Path, fetched: dict[TP, list[Any]]) -> tuple[Any, list[Any]]:
    """Faust's consumer with the flow on; its fetcher finds these records once, then nothing."""
    consumer, _ = stock_consumer(stock_app(folder), PLACE)
    handed: list[Any] = []
    waiting = [fetched]

    async def getmany(active_partitions: Any, timeout: float) -> Any:
        await asyncio.sleep(0)
        return waiting.pop() if waiting else {}

    async def callback(event: Any) -> None:
        handed.append(event)

    consumer._getmany = getmany
    consumer.highwater = lambda place: 0
    consumer.callback = callback
    consumer._set_active_tps({PLACE})
    consumer.resume_flow()
    return consumer, handed


# --- one event per fetch


@in_a_loop
async def test_a_fetch_is_one_event(tmp_path: Path) -> None:
    consumer, handed = delivering(tmp_path)
    fetch = [batch(0, 500), batch(7, 9)._replace(partition=1)]
    consumer._arrivals.put_nowait((PLACE.topic, fetch))
    draining = asyncio.ensure_future(consumer._drain_messages(Service()))
    await until(lambda: handed)
    draining.cancel()
    assert [event.value for event in handed] == [fetch]
    assert (handed[0].tp, handed[0].offset) == (PLACE, 0)


@in_a_loop
async def test_stock_faust_spends_an_event_on_each_record(tmp_path: Path) -> None:
    consumer, handed = stock_fetching(tmp_path, records(0, 500))
    draining = asyncio.ensure_future(consumer._drain_messages(Service()))
    await until(lambda: len(handed) == 500)
    draining.cancel()


# --- what was fetched before a rebalance


@in_a_loop
async def test_a_batch_that_was_fetched_before_a_rebalance_is_not_delivered(tmp_path: Path) -> None:
    consumer, handed = delivering(tmp_path)
    consumer._arrivals.put_nowait((PLACE.topic, [batch(0, 5, GENERATION - 1)]))
    consumer._arrivals.put_nowait((PLACE.topic, [batch(3, 7)]))
    draining = asyncio.ensure_future(consumer._drain_messages(Service()))
    await until(lambda: handed)
    draining.cancel()
    assert [event.value[0].start for event in handed] == [3]


@in_a_loop
async def test_a_batch_is_not_decided_after_its_partition_was_given_up(tmp_path: Path) -> None:
    consumer, _ = our_consumer(our_app(tmp_path), PLACE)
    engine = consumer.app.engine
    buffer = engine.buffers[PLACE.topic]
    hold(engine.assignment, GENERATION)
    buffer.open({0: 0})
    buffer.deliver(batch(0, 5))
    engine.suspend()
    hold(engine.assignment, GENERATION + 1)
    buffer.open({0: 0})
    buffer.deliver(batch(0, 5))
    buffer.deliver(batch(0, 9, GENERATION + 1))
    assert [each.end for each in await buffer.take()] == [9]


# --- what waits while tables are restored


@in_a_loop
async def test_nothing_is_read_before_the_restore_is_over_and_the_queues_are_clear(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    consumer, _ = our_consumer(app, PLACE)
    steps: list[str] = []

    async def prepare(generation: int) -> None:
        assert app.engine.assignment.partitions == {0}
        steps.append("restored")

    async def begin(committed: object, generation: int) -> None:
        steps.append("reading")

    async def committed(places: object) -> dict[TP, int]:
        return {PLACE: 0}

    app.engine.prepare = prepare  # type: ignore[method-assign]
    app.engine.begin = begin  # type: ignore[method-assign]
    consumer.committed = committed  # type: ignore[method-assign,assignment]
    app.flow_control.clear = lambda: steps.append("cleared")
    app._fetcher.maybe_start = _nothing
    app.consumer_generation_id = GENERATION
    app.on_rebalance_start()
    changelog = TP("saga-payments-changelog", 1)
    await app.tables.recovery.on_rebalance({PLACE, changelog}, set(), {PLACE, changelog}, GENERATION)
    await app.tables.recovery._recover(GENERATION)
    assert steps == ["restored", "cleared", "reading"]
    assert not app.rebalancing and not app.tables.recovery.in_recovery


@in_a_loop
async def test_nothing_is_read_where_another_rebalance_came_during_the_restore(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    our_consumer(app, PLACE)
    steps: list[str] = []

    async def prepare(generation: int) -> None:
        app.consumer_generation_id = GENERATION + 1

    async def begin(committed: object, generation: int) -> None:
        steps.append("reading")

    app.engine.prepare = prepare  # type: ignore[method-assign]
    app.engine.begin = begin  # type: ignore[method-assign]
    app.consumer_generation_id = GENERATION
    await app.tables.recovery._recover(GENERATION)
    assert steps == []
    assert not app.tables.recovery.in_recovery, "else the watchdog takes the next rebalance for a restore"


@in_a_loop
async def test_another_rebalance_starts_the_restore_again(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    our_consumer(app, PLACE)
    recovery = app.tables.recovery
    prepared: list[int] = []

    async def prepare(generation: int) -> None:
        prepared.append(generation)
        await asyncio.sleep(60)

    app.engine.prepare = prepare  # type: ignore[method-assign]
    running = asyncio.ensure_future(recovery._restart_recovery.fun(recovery))
    for generation in (GENERATION, GENERATION + 1):
        recovery._generation_id = app.consumer_generation_id = generation
        recovery.signal_recovery_start.set()
        await until(partial(prepared.count, generation))
    assert prepared == [GENERATION, GENERATION + 1]
    running.cancel()


@in_a_loop
async def test_stock_faust_skips_records_that_it_reads_before_the_end_of_recovery(tmp_path: Path) -> None:
    consumer, _ = stock_fetching(tmp_path, records(0, 3))
    app = consumer.app
    app._fetcher.maybe_start = _nothing
    # The flow is on since the changelogs were read, and the streams' queues are cleared whenever it is resumed.
    queue = app.FlowControlQueue(maxsize=100, clear_on_resume=True)
    app.flow_control.resume()

    async def to_the_stream(event: Any) -> None:
        await queue.put(event)

    async def seek_to_committed() -> dict[TP, int]:
        # Seeking takes a round trip to the broker, and the fetch loop does not wait for it.
        await until(lambda: queue.qsize() == 3)
        return {PLACE: 0}

    consumer.callback = to_the_stream
    consumer.seek_to_committed = seek_to_committed
    app.on_rebalance_start()
    draining = asyncio.ensure_future(consumer._drain_messages(Service()))
    await app.tables.recovery.on_recovery_completed(app.consumer_generation_id)
    draining.cancel()
    assert queue.empty(), "the three records are gone"

    # The next record is acknowledged and committed past them.
    app.topics._acking_topics.add(PLACE.topic)
    consumer._acked[PLACE] = [3]
    assert consumer._new_offset(PLACE) == 4


# --- Faust's own detector of stuck streams, which looks at aiokafka's fetches


@in_a_loop
async def test_partitions_that_are_paused_on_purpose_are_not_reported_as_stuck(tmp_path: Path) -> None:
    consumer, _ = our_consumer(our_app(tmp_path), PLACE)
    verified: list[TP] = []
    consumer.verify_event_path = lambda now, place: verified.append(place)
    await consumer.verify_all_partitions_active()
    assert verified == []


@in_a_loop
async def test_stock_faust_would_report_every_paused_partition_as_stuck(tmp_path: Path) -> None:
    consumer, _ = stock_consumer(stock_app(tmp_path), PLACE)
    verified: list[TP] = []
    consumer.verify_event_path = lambda now, place: verified.append(place)
    await consumer.verify_all_partitions_active()
    assert verified == [PLACE]


async def _nothing() -> None: ...


@in_a_loop
async def test_a_generation_that_was_given_up_is_restored_again_only_when_it_is_assigned_again(
    tmp_path: Path,
) -> None:
    app = our_app(tmp_path)
    our_consumer(app, PLACE)
    engine = app.engine
    restored: list[object] = []
    engine.store_manager.keep = restored.append  # type: ignore[assignment,method-assign]
    engine.store_manager.restore = _overtaken  # type: ignore[method-assign]
    engine.assign({0}, GENERATION)
    engine.suspend()
    await engine.prepare(GENERATION)
    assert restored == [], "another worker may own the partitions"
    engine.assign({0}, GENERATION)
    await engine.prepare(GENERATION)
    assert restored == [[0]]


def _overtaken(partitions: object, goes_on: object) -> NoReturn:
    raise Superseded


@in_a_loop
async def test_nothing_is_read_where_partitions_were_given_up_after_the_restore(tmp_path: Path) -> None:
    consumer, _ = our_consumer(our_app(tmp_path), PLACE)
    engine = consumer.app.engine
    engine._positions = dict  # type: ignore[assignment,method-assign]
    engine.assign({0}, GENERATION)
    engine.suspend()
    await engine.begin({(PLACE.topic, 0): 5}, GENERATION)
    assert engine.durable == {}
    engine.assign({0}, GENERATION + 1)
    await engine.begin({(PLACE.topic, 0): 5}, GENERATION)
    assert engine.durable == {}, "these are not restored yet"
