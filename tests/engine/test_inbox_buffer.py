"""The inbox buffer: batches of the present generation, in order, and how far each partition is durable."""

import asyncio

import pytest

from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.inbox_buffer import MOST_BYTES_WAITING, MOST_WAITING, InboxBuffer
from saga_app.engine.round import MOST_BYTES, MOST_RECORDS
from saga_app.kafka.messages import Fetch
from tests.support.assigned import hold, holding
from tests.support.examples import deposit
from tests.support.memory import batch, message


def opened(generation: int = 1, **positions: int) -> InboxBuffer:
    buffer = InboxBuffer("payment_events", holding(generation))
    buffer.open({int(name[1:]): Offset(at) for name, at in positions.items()} or {0: FIRST})
    return buffer


def done(buffer: InboxBuffer, partition: int, start: int, end: int) -> None:
    """A round of the first generation is durable from `start` to `end`."""
    buffer.done(partition, Offset(start), Offset(end), Generation(1))


def close(buffer: InboxBuffer) -> None:
    """The partitions are given up."""
    buffer._assignment.give_up()
    buffer.close()


def release(buffer: InboxBuffer, batches: Fetch) -> None:
    """The agent has done with these."""
    buffer._taken = list(batches)
    buffer._release()


def open_again(buffer: InboxBuffer, position: int, generation: int) -> None:
    """A later generation has partition 0 from this position on."""
    hold(buffer._assignment, generation)
    buffer.open({0: Offset(position)})


def some(start: int, count: int, generation: int = 1, partition: int = 0):
    return batch([message(deposit(), start + each) for each in range(count)], partition, generation)


def test_all_that_waits_is_taken_in_order() -> None:
    async def story() -> None:
        buffer = opened()
        for each in (some(0, 2), some(2, 1), some(3, 4)):
            buffer.deliver(each)
        assert [each.start for each in await anext(buffer)] == [0, 2, 3]

    asyncio.run(story())


def test_a_round_takes_all_that_one_fetch_brought() -> None:
    async def story() -> None:
        buffer = opened(p0=0, p1=0)
        taking = asyncio.create_task(anext(buffer))
        await asyncio.sleep(0)
        for each in (some(0, 2), some(0, 1, partition=1)):
            buffer.deliver(each)
        assert [each.partition for each in await taking] == [0, 1]

    asyncio.run(story())


def test_a_round_leaves_batches_for_the_time_that_the_reader_needs_to_come_back() -> None:
    async def story() -> None:
        buffer = opened()
        for start in range(0, 4 * MOST_RECORDS, MOST_RECORDS // 2):
            buffer.deliver(
                some(start, 1)._replace(messages=[message(deposit(), start)] * (MOST_RECORDS // 2))
            )
        taken = [[each.start for each in await anext(buffer)] for _ in range(4)]
        half = MOST_RECORDS // 2
        assert taken == [[each * half, (each + 1) * half] for each in (0, 2, 4, 6)]
        assert not buffer._waiting

    asyncio.run(story())


def test_large_records_are_taken_by_their_bytes() -> None:
    async def story() -> None:
        buffer = opened()
        for start in range(8):
            buffer.deliver(some(start, 1)._replace(size=MOST_BYTES // 2))
        assert [len(await anext(buffer)) for _ in range(4)] == [2, 2, 2, 2]

    asyncio.run(story())


def test_taking_waits_for_the_first_batch() -> None:
    async def story() -> None:
        buffer = opened()
        taking = asyncio.create_task(anext(buffer))
        await asyncio.sleep(0)
        assert not taking.done()
        buffer.deliver(some(0, 1))
        assert len(await taking) == 1

    asyncio.run(story())


@pytest.mark.parametrize("generation", [0, 2])
def test_a_batch_of_another_generation_is_dropped(generation: int) -> None:
    async def story() -> None:
        buffer = opened(generation=1)
        buffer.deliver(some(0, 2, generation))
        buffer.deliver(some(0, 1, 1))
        assert [each.generation for each in await anext(buffer)] == [1]

    asyncio.run(story())


def test_batches_that_wait_at_a_rebalance_are_dropped() -> None:
    async def story() -> None:
        buffer = opened()
        buffer.deliver(some(0, 2))
        close(buffer)
        open_again(buffer, 5, 2)
        buffer.deliver(some(0, 2))
        buffer.deliver(some(5, 1, 2))
        assert [each.start for each in await anext(buffer)] == [5]

    asyncio.run(story())


def test_only_the_present_generation_is_current() -> None:
    buffer = opened(generation=3)
    assert [each for each in (2, 3, 4) if buffer.is_current(Generation(each))] == [3]
    close(buffer)
    assert not buffer.is_current(Generation(3))


def test_done_moves_exactly_the_offset_that_may_be_committed() -> None:
    buffer = opened(p0=0, p1=7)
    done(buffer, 0, 0, 3)
    assert buffer.durable == {0: 3, 1: 7}
    done(buffer, 0, 3, 4)
    done(buffer, 1, 7, 9)
    assert buffer.durable == {0: 4, 1: 9}


@pytest.mark.parametrize("start", [0, 2, 4])
def test_a_gap_or_an_overlap_ends_the_process(start: int) -> None:
    buffer = opened(p0=3)
    with pytest.raises(Fatal) as ended:
        done(buffer, 0, start, 9)
    assert (ended.value.exit, buffer.durable) == (Exit.ROUND_FAILED, {0: 3})


def test_a_round_that_ends_while_the_partitions_are_given_up_is_counted() -> None:
    """So that it is committed at revoke, and not decided again."""
    buffer = opened()
    close(buffer)
    done(buffer, 0, 0, 3)
    assert buffer.durable == {0: 3}


def test_a_round_of_an_earlier_generation_moves_nothing() -> None:
    buffer = opened()
    close(buffer)
    open_again(buffer, 9, 2)
    done(buffer, 0, 0, 3)
    assert buffer.durable == {0: 9}


def test_nothing_is_taken_where_partitions_are_given_up_just_after_a_batch_arrived() -> None:
    async def story() -> None:
        buffer = opened()
        taking = asyncio.create_task(anext(buffer))
        await asyncio.sleep(0)
        buffer.deliver(some(0, 1))
        close(buffer)
        await buffer.closed()
        await asyncio.sleep(0)
        assert not taking.done()
        open_again(buffer, 5, 2)
        buffer.deliver(some(5, 1, 2))
        assert [each.start for each in await taking] == [5]

    asyncio.run(story())


def test_closed_waits_for_the_round_that_runs() -> None:
    async def story() -> None:
        buffer = opened()
        buffer.deliver(some(0, 1))
        await anext(buffer)
        close(buffer)
        closing = asyncio.create_task(buffer.closed())
        await asyncio.sleep(0)
        assert not closing.done()
        taking = asyncio.create_task(anext(buffer))
        await closing
        taking.cancel()

    asyncio.run(story())


def test_an_agent_that_is_stopped_in_a_round_has_nothing_in_hand() -> None:
    async def story() -> None:
        buffer = opened()
        buffer.deliver(some(0, 1))
        await anext(buffer)
        buffer.rest()
        await buffer.closed()

    asyncio.run(story())


def test_an_agent_that_asks_for_more_is_done_with_its_batches() -> None:
    async def story() -> None:
        settled: list[tuple[Fetch, float]] = []
        buffer = InboxBuffer(
            "payment_events", holding(1), lambda batches, seconds: settled.append((batches, seconds))
        )
        buffer.open({0: FIRST})
        fetches = [some(0, 2)], [some(2, 3)]
        for fetch in fetches:
            buffer.fetched(fetch)
            buffer.deliver(fetch[0])
            assert await anext(buffer) == fetch
        assert [batches for batches, _ in settled] == [fetches[0]] and settled[0][1] >= 0
        assert buffer.waiting == 3

    asyncio.run(story())


@pytest.mark.parametrize(
    ("most", "size"), [(MOST_WAITING, 1), (MOST_BYTES_WAITING // 1024**2, 1024**2)], ids=["records", "bytes"]
)
def test_the_reader_waits_while_too_much_is_not_durable(most: int, size: int) -> None:
    buffer = opened()
    one = batch([message(b"x", 0)])._replace(size=size)
    buffer.fetched([one] * (most - 1))
    assert buffer.has_room()
    buffer.fetched([one])
    assert (buffer.has_room(), buffer.waiting) == (False, most)
    release(buffer, [one] * (most // 4))
    assert not buffer.has_room(), "the reader would throw away again what it fetches ahead"
    release(buffer, [one])
    assert buffer.has_room()
    buffer.fetched([one] * most)
    assert not buffer.has_room()
    open_again(buffer, 0, 2)
    assert buffer.has_room() and buffer.waiting == 0
