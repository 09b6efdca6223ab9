"""Committed offsets. Answers faust#606, faust#707, rh#604, faust#502, faust#316, faust#611 and faust#596."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.transport.drivers.aiokafka import Consumer as StockConsumer
from faust.types import TP

from saga_app import topics
from saga_app.core.numbers import Generation, Offset
from saga_app.engine import engine
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.faust.consumer import SagaConsumer
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.kafka.messages import Batch
from tests.engine.faust.parts import (
    Commits,
    in_a_loop,
    message,
    our_app,
    our_consumer,
    stock_app,
    stock_consumer,
    unguarded,
)
from tests.support.assigned import hold

PLACE = TP(topics.PAYMENT, 0)
GENERATION = Generation(3)


def done(buffer: InboxBuffer, start: int, end: int) -> None:
    """A round is durable from `start` to `end`."""
    buffer.done(0, Offset(start), Offset(end), GENERATION)


def empty_batch(start: int, end: int) -> Batch:
    return Batch(0, Offset(start), Offset(end), GENERATION, [])


def opened(folder: Path, at: int) -> tuple[SagaConsumer, Commits]:
    """Our consumer, durable and committed up to `at`."""
    consumer, commits = our_consumer(our_app(folder), PLACE)
    hold(consumer.app.engine.assignment, GENERATION)
    consumer.app.engine.buffers[PLACE.topic].open({0: Offset(at)})
    consumer._last_committed[PLACE] = at
    return consumer, commits


def stock_committed(folder: Path, at: int) -> tuple[StockConsumer, Commits]:
    """Faust's consumer, with `at` as the committed offset: the next record to be done."""
    consumer, commits = stock_consumer(stock_app(folder), PLACE)
    consumer._committed_offset[PLACE] = at
    return consumer, commits


# --- past a record that is not done: faust#606, fix faust#707; rh#604, faust#527


@in_a_loop
async def test_acknowledged_events_commit_nothing_by_themselves(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 100)
    consumer.app.topics._acking_topics.add(PLACE.topic)
    events = [message(PLACE, offset) for offset in (101, 102)]
    for event in events:
        consumer.track_message(event)
        consumer.ack(event)
    assert await consumer.commit() is False
    assert commits == []


@in_a_loop
async def test_exactly_the_durable_offsets_are_committed(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 100)
    done(consumer.app.engine.buffers[PLACE.topic], 100, 150)
    assert await consumer.commit() is True
    assert commits == [{PLACE: 150}]


@in_a_loop
async def test_stock_faust_commits_past_a_record_that_is_not_done(tmp_path: Path) -> None:
    consumer, commits = stock_committed(tmp_path, 100)
    for offset in (101, 102):
        consumer.ack(message(PLACE, offset))
    await consumer.commit()
    assert commits == [{PLACE: 103}], "record 100 is not done, and nobody will read it again"


@in_a_loop
async def test_stock_faust_commits_past_the_first_record_where_nothing_is_committed(tmp_path: Path) -> None:
    consumer, commits = stock_consumer(stock_app(tmp_path), PLACE)
    consumer.ack(message(PLACE, 7))
    await consumer.commit()
    assert commits == [{PLACE: 8}], "nothing says that 0 to 6 are done"


# --- nothing new is not committed again


@in_a_loop
async def test_a_position_is_committed_once(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 100)
    done(consumer.app.engine.buffers[PLACE.topic], 100, 150)
    await consumer.commit()
    await consumer.commit()
    assert commits == [{PLACE: 150}]


@in_a_loop
async def test_a_partition_that_is_not_ours_is_not_committed(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 100)
    done(consumer.app.engine.buffers[PLACE.topic], 100, 150)
    consumer.assignment = set
    assert await consumer.commit() is False
    assert commits == []


# --- what is done when partitions are given up: docs/reference/faust.md#a12, faust#502


@in_a_loop
async def test_partitions_are_given_up_after_all_that_is_durable_was_committed(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 5)
    done(consumer.app.engine.buffers[PLACE.topic], 5, 8)
    await consumer.on_partitions_revoked({PLACE})
    assert commits == [{PLACE: 8}]


@in_a_loop
async def test_stock_faust_drops_acknowledged_offsets_when_partitions_are_given_up(tmp_path: Path) -> None:
    consumer, commits = stock_committed(tmp_path, 5)
    for offset in (5, 6, 7):
        consumer.ack(message(PLACE, offset))
    await consumer.on_partitions_revoked({PLACE})
    assert commits == [], "5, 6 and 7 are done again by the next owner"


@in_a_loop
async def test_partitions_are_given_up_after_the_round_that_runs_has_ended(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 5)
    buffer = consumer.app.engine.buffers[PLACE.topic]
    buffer.deliver(empty_batch(5, 9))
    taken = await anext(buffer)
    giving_up = asyncio.ensure_future(consumer.on_partitions_revoked({PLACE}))
    await asyncio.sleep(0.05)
    assert not giving_up.done() and commits == []

    done(buffer, taken[0].start, taken[0].end)
    next_round = asyncio.ensure_future(anext(buffer))
    await giving_up
    next_round.cancel()
    assert commits == [{PLACE: 9}]


@in_a_loop
async def test_a_round_that_does_not_end_when_partitions_are_given_up_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LONGEST_DRAIN", 0.05)
    consumer, commits = opened(tmp_path, 5)
    buffer = consumer.app.engine.buffers[PLACE.topic]
    buffer.deliver(empty_batch(5, 9))
    await anext(buffer)
    done(buffer, 5, 7)
    with pytest.raises(Fatal) as ended:
        await unguarded(consumer.wait_empty)()
    assert ended.value.exit is Exit.REVOKE_TOO_SLOW
    assert commits == []


@in_a_loop
async def test_stock_faust_waits_without_limit_for_a_handler_when_partitions_are_given_up(
    tmp_path: Path,
) -> None:
    """rh#402, rh#458, faust#133: the group goes on without it, and what it does then is done twice."""
    consumer, _ = stock_committed(tmp_path, 5)
    event = message(PLACE, 5)
    consumer.track_message(event)
    giving_up = asyncio.ensure_future(consumer.on_partitions_revoked({PLACE}))
    done, _ = await asyncio.wait([giving_up], timeout=0.5)
    assert not done
    consumer.ack(event)
    await giving_up


@in_a_loop
async def test_undecided_records_are_dropped_when_partitions_are_given_up(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 5)
    buffer = consumer.app.engine.buffers[PLACE.topic]
    buffer.deliver(empty_batch(5, 9))
    await consumer.on_partitions_revoked({PLACE})
    buffer.deliver(empty_batch(9, 12))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(buffer), 0.05)
    assert commits == []


@in_a_loop
async def test_the_last_commit_is_not_swallowed_by_one_on_its_way(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 5)
    buffer = consumer.app.engine.buffers[PLACE.topic]
    done(buffer, 5, 6)
    commits.answer.clear()
    earlier = asyncio.ensure_future(consumer.commit())
    await commits.asked.wait()
    done(buffer, 6, 8)
    last = asyncio.ensure_future(consumer.wait_empty())
    await asyncio.sleep(0)
    commits.answer.set()
    await asyncio.gather(earlier, last)
    assert commits == [{PLACE: 6}, {PLACE: 8}]


@in_a_loop
async def test_stock_faust_lets_a_commit_on_its_way_swallow_the_last_one(tmp_path: Path) -> None:
    consumer, commits = stock_committed(tmp_path, 5)
    consumer.ack(message(PLACE, 5))
    commits.answer.clear()
    earlier = asyncio.ensure_future(consumer.commit())
    await commits.asked.wait()
    for offset in (6, 7):
        consumer.ack(message(PLACE, offset))
    last = asyncio.ensure_future(consumer.wait_empty())
    await asyncio.sleep(0)
    commits.answer.set()
    await asyncio.gather(earlier, last)
    assert commits == [{PLACE: 6}]


# --- a commit that was refused: faust#316, faust#611


@in_a_loop
async def test_a_commit_that_was_refused_is_tried_again(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 100)
    done(consumer.app.engine.buffers[PLACE.topic], 100, 150)
    commits.accepts = False
    assert await consumer.commit() is False
    commits.accepts = True
    assert await consumer.commit() is True
    assert commits == [{PLACE: 150}, {PLACE: 150}]


@in_a_loop
async def test_stock_faust_records_a_refused_commit_as_committed(tmp_path: Path) -> None:
    consumer, commits = stock_committed(tmp_path, 100)
    consumer.ack(message(PLACE, 100))
    commits.accepts = False
    assert await consumer.commit() is False
    assert consumer._committed_offset[PLACE] == 101
    commits.accepts = True
    assert await consumer.commit() is False
    assert commits == [{PLACE: 101}], "it was tried once, refused, and never again"


# --- a broker that restarts while offsets are committed


class Restarting:
    """aiokafka's consumer while the coordinator is away."""

    def assignment(self) -> set[TP]:
        return {PLACE}

    async def commit(self, offsets: object) -> None:
        raise KafkaConnectionError


@in_a_loop
async def test_a_commit_that_fails_is_refused_and_stops_nothing(tmp_path: Path) -> None:
    consumer, _ = opened(tmp_path, 100)
    consumer._thread._consumer = Restarting()
    assert await consumer._thread._commit({PLACE: 150}) is False
    assert not consumer._thread.crashed


@in_a_loop
async def test_stock_faust_crashes_the_worker_where_a_commit_fails(tmp_path: Path) -> None:
    consumer, _ = stock_committed(tmp_path, 100)
    consumer._thread._consumer = Restarting()
    await consumer._thread._commit({PLACE: 150})
    assert consumer._thread.crashed


# --- offsets without a record (transaction markers, compaction): faust#596


@in_a_loop
async def test_offsets_without_a_record_do_not_stop_commits(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 100)
    buffer = consumer.app.engine.buffers[PLACE.topic]
    # 100 and 101 hold no record: the first that the reader finds is 102, and the batch begins where it asked.
    done(buffer, 100, 103)
    await consumer.commit()
    assert commits == [{PLACE: 103}]


@in_a_loop
async def test_stock_faust_stops_committing_at_a_gap_that_it_was_not_told_of(tmp_path: Path) -> None:
    consumer, commits = stock_committed(tmp_path, 100)
    for offset in range(102, 1000):
        consumer.ack(message(PLACE, offset))
    for _ in range(3):
        await consumer.commit()
    assert commits == [], "processing goes on, and the committed offset stays where it is until a restart"


# --- where reading starts


@in_a_loop
async def test_reading_starts_at_the_committed_offset_and_commits_nothing_before_it(tmp_path: Path) -> None:
    consumer, commits = opened(tmp_path, 0)
    begun: list[tuple[object, int]] = []

    async def committed(places: object) -> dict[TP, int | None]:
        return {PLACE: 42}

    async def begin(offsets: dict[tuple[str, int], int | None], generation: Generation) -> None:
        begun.append((offsets, generation))
        consumer.app.engine.buffers[PLACE.topic].open({0: Offset(42)})

    consumer.committed = committed  # type: ignore[method-assign]
    consumer.app.engine.begin = begin  # type: ignore[method-assign,assignment]
    consumer.app.engine.assign({0}, GENERATION)
    await consumer.perform_seek()
    assert begun == [({(PLACE.topic, 0): 42}, GENERATION)]
    assert await consumer.commit() is False and commits == []


# --- between giving up partitions and the next assignment


@in_a_loop
async def test_nothing_is_committed_between_giving_up_partitions_and_the_next_assignment(
    tmp_path: Path,
) -> None:
    consumer, commits = opened(tmp_path, 5)
    app = consumer.app
    await consumer.wait_empty()
    app.engine.buffers[PLACE.topic].durable[0] = Offset(6)
    assert await consumer.commit() is False, "aiokafka answers its refusal by forgetting its membership"

    async def committed(places: object) -> dict[TP, int | None]:
        return {PLACE: 6}

    async def begin(places: object, generation: Generation) -> None:
        assert app.engine.assignment.hold(generation)

    consumer.committed = committed  # type: ignore[method-assign]
    app.engine.begin = begin  # type: ignore[assignment,method-assign]
    await consumer.perform_seek()
    assert await consumer.commit() is False, "nothing is assigned yet"
    app.engine.assign({0}, Generation(GENERATION + 1))
    await consumer.perform_seek()
    app.engine.buffers[PLACE.topic].durable[0] = Offset(7)
    assert await consumer.commit() is True
    assert commits == [{PLACE: 7}]
