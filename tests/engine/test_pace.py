"""Rounds begin together: at once after a pause, and no later than the pace says."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from saga_app.core.numbers import FIRST
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.engine.pace import WORTH_A_ROUND, Pace
from saga_app.kafka.messages import Batch
from tests.engine.test_inbox_buffer import close, some
from tests.support.assigned import holding

#: Seconds: longer than any of these stories, so that what waits for it waits until it is told.
LONG = 3_600.0
#: Seconds in which a turn of the event loop is certainly over.
SHORT = 0.01


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 10))


async def is_waiting(task: asyncio.Task[Any]) -> bool:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return not task.done()


def test_a_round_after_a_pause_begins_at_once() -> None:
    async def story() -> None:
        await Pace(LONG).turn(1)

    run(story())


def test_the_next_round_waits_and_all_that_wait_begin_together() -> None:
    async def story() -> None:
        pace, began = Pace(SHORT), list[int]()

        async def begin(number: int) -> None:
            await pace.turn(1)
            began.append(number)

        await pace.turn(1)
        tasks = [asyncio.create_task(begin(number)) for number in range(3)]
        assert await is_waiting(tasks[0]) and not began
        await tasks[0]
        await asyncio.sleep(0)
        assert sorted(began) == [0, 1, 2]

    run(story())


def test_rounds_that_wait_are_the_begin_of_the_next_interval() -> None:
    async def story() -> None:
        pace = Pace(SHORT)
        await pace.turn(1)
        await pace.turn(1)
        later = asyncio.create_task(pace.turn(1))
        assert await is_waiting(later)
        await later

    run(story())


def test_many_records_do_not_wait() -> None:
    async def story() -> None:
        pace = Pace(LONG)
        await pace.turn(1)
        await pace.turn(WORTH_A_ROUND)

    run(story())


def test_one_that_is_cancelled_leaves_the_others_their_turn() -> None:
    async def story() -> None:
        pace = Pace(SHORT)
        await pace.turn(1)
        stopped, other = (asyncio.create_task(pace.turn(1)) for _ in range(2))
        assert await is_waiting(stopped)
        stopped.cancel()
        await other

    run(story())


async def waiting_round(pace: Pace) -> tuple[InboxBuffer, asyncio.Task[list[Batch]]]:
    """A buffer with one record, and a round with it that waits for its turn."""
    buffer = InboxBuffer("payment_events", holding(1), pace=pace)
    buffer.open({0: FIRST})
    await pace.turn(1)
    buffer.deliver(some(0, 1))
    taking = asyncio.create_task(anext(buffer))
    assert await is_waiting(taking)
    return buffer, taking


def test_a_round_takes_what_came_while_it_waited() -> None:
    async def story() -> None:
        buffer, taking = await waiting_round(Pace(SHORT))
        buffer.deliver(some(1, 1))
        assert [each.start for each in await taking] == [0, 1]

    run(story())


def test_partitions_that_are_given_up_while_a_round_waits_leave_it_nothing() -> None:
    async def story() -> None:
        pace = Pace(SHORT)
        buffer, taking = await waiting_round(pace)
        close(buffer)
        await pace.turn(1)
        assert await is_waiting(taking)
        await buffer.closed()
        taking.cancel()

    run(story())
