"""How records reach the agents: whole batches, of the present generation, and only after the restore.

Answers the 50 to 200 us per record of Faust's fetch loop (`docs/reference/faust.md#e1`), and the 549 of 6,000 waiting
records that it skipped at a start with tables to restore (`docs/reference/faust.md#a23`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from faust.types import TP
from mode import Service

from agents import payment
from saga_app import topics
from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.engine.engine import Listen
from saga_app.engine.faust.app import SagaApp
from saga_app.engine.ports import Batches
from saga_app.engine.stores.manager import Superseded
from saga_app.kafka.messages import Batch, Fetch, Message
from tests.engine.faust.parts import in_a_loop, our_app, our_consumer, stock_app, stock_consumer, until
from tests.support.assigned import hold

PLACE = TP(topics.PAYMENT, 0)
GENERATION = Generation(3)


def batch(start: int, end: int, generation: int = GENERATION) -> Batch:
    messages = [Message(Offset(at), 0, b"k", b"{}") for at in range(start, end)]
    return Batch(0, Offset(start), Offset(end), Generation(generation), messages)


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


@asynccontextmanager
async def listening(folder: Path, listen: Listen = payment.listen) -> AsyncIterator[SagaApp]:
    """Our application with partition 0 of an inbox, and Faust's agent started over it."""
    app = our_app(folder)
    consumer, _ = our_consumer(app, PLACE)
    engine, agent = app.engine, app.agents["payment"]
    engine._loop = asyncio.get_running_loop()
    agent.fun = engine.agent(PLACE.topic, listen)
    hold(engine.assignment, GENERATION)
    engine.buffers[PLACE.topic].open({0: FIRST, 1: Offset(7)})
    await agent.start()
    yield app
    await agent.stop()
    assert engine.durable == {(PLACE.topic, 0): 0, (PLACE.topic, 1): 7}
    assert not consumer.unacked


async def fetched(app: SagaApp, *batches: Batch) -> None:
    """The reader's thread has fetched something."""
    await asyncio.to_thread(app.engine._fetched, {PLACE.topic: batches})


class RecordingAgent(list[Fetch]):
    """An agent that keeps what its stream gives it."""

    async def listen(self, inbox: Batches, rounds: object) -> None:
        async for each in inbox:
            self.append(each)


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


# --- one queue between the reader and the agent


@in_a_loop
async def test_all_that_a_fetch_brought_comes_to_the_agent_at_once(tmp_path: Path) -> None:
    seen = RecordingAgent()
    async with listening(tmp_path, seen.listen) as app:
        fetch = [batch(0, 500), batch(7, 9)._replace(partition=1)]
        await fetched(app, *fetch)
        await until(lambda: seen)
        assert seen == [fetch]
        assert app.topics.acks_enabled_for(PLACE.topic) is False, "Faust's conductor has no part in it"
        assert not app._fetcher.started


@in_a_loop
async def test_an_agent_that_faust_stops_in_a_round_gives_up_its_batches(tmp_path: Path) -> None:
    class Stuck(RecordingAgent):
        async def listen(self, inbox: Batches, rounds: object) -> None:
            async for each in inbox:
                self.append(each)
                await asyncio.sleep(60)

    seen = Stuck()
    async with listening(tmp_path, seen.listen) as app:
        await fetched(app, batch(0, 5))
        await until(lambda: seen)
        app.engine.suspend()
        closing = asyncio.ensure_future(app.engine.buffers[PLACE.topic].closed())
        await asyncio.sleep(0.05)
        assert not closing.done()
    await closing


@in_a_loop
async def test_an_agents_topic_is_subscribed_to_and_its_stream_is_the_buffer(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    our_consumer(app, PLACE)
    stream = app.agents["payment"].stream()
    assert aiter(stream) is app.engine.buffers[PLACE.topic]
    assert [topic.get_topic_name() for topic in app.topics] == [PLACE.topic]
    other = app.stream([1, 2])
    assert [each async for each in other] == [1, 2], "other streams are Faust's"


@in_a_loop
async def test_stock_faust_spends_an_event_on_each_record(tmp_path: Path) -> None:
    consumer, handed = stock_fetching(tmp_path, records(0, 500))
    draining = asyncio.ensure_future(consumer._drain_messages(Service()))
    await until(lambda: len(handed) == 500)
    draining.cancel()


# --- what was fetched before a rebalance


@in_a_loop
async def test_a_batch_that_was_fetched_before_a_rebalance_is_not_delivered(tmp_path: Path) -> None:
    seen = RecordingAgent()
    async with listening(tmp_path, seen.listen) as app:
        await fetched(app, batch(0, 5, GENERATION - 1))
        await fetched(app, batch(3, 7))
        await until(lambda: seen)
        assert [each.start for fetch in seen for each in fetch] == [3]


@in_a_loop
async def test_a_batch_is_not_decided_after_its_partition_was_given_up(tmp_path: Path) -> None:
    consumer, _ = our_consumer(our_app(tmp_path), PLACE)
    engine = consumer.app.engine
    buffer = engine.buffers[PLACE.topic]
    hold(engine.assignment, GENERATION)
    buffer.open({0: FIRST})
    buffer.deliver(batch(0, 5))
    engine.suspend()
    hold(engine.assignment, GENERATION + 1)
    buffer.open({0: FIRST})
    buffer.deliver(batch(0, 5))
    buffer.deliver(batch(0, 9, GENERATION + 1))
    assert [each.end for each in await anext(buffer)] == [9]


# --- what waits while tables are restored


@in_a_loop
async def test_nothing_is_read_before_the_restore_is_over(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    consumer, _ = our_consumer(app, PLACE)
    steps: list[str] = []

    async def prepare(generation: Generation) -> None:
        assert app.engine.assignment.partitions == {0}
        steps.append("restored")

    async def begin(committed: object, generation: Generation) -> None:
        assert app.engine.assignment.hold(generation)
        steps.append("reading")

    async def committed(places: object) -> dict[TP, int]:
        return {PLACE: 0}

    app.engine.prepare = prepare  # type: ignore[method-assign]
    app.engine.begin = begin  # type: ignore[method-assign]
    consumer.committed = committed  # type: ignore[method-assign,assignment]
    app.consumer_generation_id = GENERATION
    app.on_rebalance_start()
    changelog = TP("saga-payments-changelog", 1)
    await app.tables.recovery.on_rebalance({PLACE, changelog}, set(), {PLACE, changelog}, GENERATION)
    await app.tables.recovery._recover(GENERATION)
    assert steps == ["restored", "reading"]
    assert not app.rebalancing and not app.tables.recovery.in_recovery
    assert not app._fetcher.started, "it would fetch for streams that nobody reads"


@pytest.mark.parametrize("happens", ["the group is at another generation", "the partitions are given up"])
@in_a_loop
async def test_nothing_is_read_where_another_rebalance_came_during_the_restore(
    tmp_path: Path, happens: str
) -> None:
    app = our_app(tmp_path)
    our_consumer(app, PLACE)
    steps: list[str] = []

    async def prepare(generation: Generation) -> None:
        if happens == "the partitions are given up":
            app.engine.suspend()
        else:
            app.consumer_generation_id = GENERATION + 1

    async def begin(committed: object, generation: Generation) -> None:
        steps.append("reading")

    app.engine.prepare = prepare  # type: ignore[method-assign]
    app.engine.begin = begin  # type: ignore[method-assign]
    app.consumer_generation_id = GENERATION
    app.engine.assign({0}, GENERATION)
    app.on_rebalance_start()
    await app.tables.recovery._recover(GENERATION)
    assert steps == []
    assert app.rebalancing, "it is not over"
    assert not app.tables.recovery.in_recovery, "else the watchdog takes the next rebalance for a restore"


@in_a_loop
async def test_another_rebalance_starts_the_restore_again(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    our_consumer(app, PLACE)
    recovery = app.tables.recovery
    prepared: list[int] = []

    async def prepare(generation: Generation) -> None:
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
    await engine.begin({(PLACE.topic, 0): Offset(5)}, GENERATION)
    assert engine.durable == {}
    engine.assign({0}, Generation(GENERATION + 1))
    await engine.begin({(PLACE.topic, 0): Offset(5)}, GENERATION)
    assert engine.durable == {}, "these are not restored yet"
