"""Giving up partitions, on a real broker: what is done is in the group's committed offset before they are given up.

Answers `docs/reference/faust.md#a12` (faust#502); the same in slow motion is in `test_commits`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types import TP

from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.kafka.messages import Place
from saga_app.local.broker import Broker
from saga_app.timeouts import PROFILES
from tests.engine.faust.parts import in_a_loop, make_topics, message, our_app, unique
from tests.support.assigned import hold

pytestmark = pytest.mark.live


class JoinedConsumer:
    """A consumer that has joined its group."""

    def __init__(self, app: Any, place: TP) -> None:
        self.app = app
        self.place = place
        self.generations: asyncio.Queue[int] = asyncio.Queue()
        self.consumer = app.transport.create_consumer(
            callback=self._on_message,
            on_partitions_revoked=app._on_partitions_revoked,
            on_partitions_assigned=self._on_assigned,
        )
        app._consumer = self.consumer
        # Its timer would hide what is, or is not, committed when partitions are given up.
        self.consumer.commit_interval = 3600.0

    async def _on_message(self, event: Any) -> None: ...

    async def _on_assigned(self, assigned: set[TP], generation: int) -> None:
        assert assigned == {self.place}
        self.app.on_rebalance_end()
        self.generations.put_nowait(generation)

    async def joins_again(self) -> None:
        """As at each rebalance: gives its partitions up, and gets partitions."""
        thread = self.consumer._thread
        thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)
        await self.generations.get()

    async def committed(self) -> int | None:
        """The group's committed offset, asked from the broker."""
        thread = self.consumer._thread
        offset: int | None = await thread.call_thread(thread._consumer.committed, self.place)
        return offset


@asynccontextmanager
async def member(app: Any, place: TP) -> AsyncIterator[JoinedConsumer]:
    joined = JoinedConsumer(app, place)
    await joined.consumer.start()
    try:
        await joined.consumer.subscribe([place.topic])
        yield joined
    finally:
        await joined.consumer.stop()


@pytest.fixture
def place(kafka: Broker) -> TP:
    """An inbox of its own: other tests use the real ones."""
    name = unique("inbox")
    make_topics(kafka.address, name)
    return TP(name, 0)


def nothing(place: Place) -> str:
    return ""


@in_a_loop
async def test_durable_offsets_are_committed_before_partitions_are_given_up(
    kafka: Broker, place: TP, tmp_path: Path
) -> None:
    app = our_app(tmp_path, kafka.address, unique("saga"))
    async with member(app, place) as joined:
        generation = await joined.generations.get()
        buffer = app.engine.buffers[place.topic] = InboxBuffer(place.topic, app.engine.assignment)
        # No service has this inbox, so there is nothing to note.
        app.engine.commits.note = nothing  # type: ignore[method-assign]
        hold(app.engine.assignment, generation)
        buffer.open({0: FIRST})
        buffer.done(0, FIRST, Offset(8), Generation(generation))
        await joined.joins_again()
        assert await joined.committed() == 8
    # librdkafka would go on looking for the broker after the last test.
    del app.engine.log, app.engine.clock, app.engine.rounds, app.engine._tasks


@in_a_loop
async def test_stock_faust_gives_partitions_up_before_it_has_committed_acknowledged_offsets(
    kafka: Broker, place: TP, tmp_path: Path
) -> None:
    timeouts = PROFILES["local"]
    app = faust.App(
        unique("stock"),
        broker=f"kafka://{kafka.address}",
        datadir=str(tmp_path),
        broker_session_timeout=timeouts.session,
        broker_heartbeat_interval=timeouts.heartbeat,
    )
    app.finalize()
    app.topics._acking_topics.add(place.topic)
    async with member(app, place) as joined:
        await joined.generations.get()
        for offset in range(8):
            joined.consumer.ack(message(place, offset))
        await joined.joins_again()
        assert await joined.committed() is None
