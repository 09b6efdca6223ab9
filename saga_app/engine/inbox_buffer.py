"""The inbox buffer: where an agent puts the batches it receives, and where its round takes them. The inbox port."""

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from saga_app.engine.assignment import Assignment
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.round import MOST_BYTES, MOST_RECORDS
from saga_app.kafka.messages import Batch, Fetch

#: Records fetched and not yet durable, per inbox, and their bytes: the reader leaves the inbox out above either, until
#: a quarter of it is durable: it has thrown away what it had fetched ahead, and would do nothing else if it came back
#: at once. A record may have 1 MiB, so the bytes alone keep whoever can write to an inbox from filling the memory.
MOST_WAITING: Final = 8_000
MOST_BYTES_WAITING: Final = 32 * 1024 * 1024


class InboxBuffer:
    """Batches of one inbox that wait, and how far each partition is durable. See `ports.Inbox`."""

    def __init__(self, topic: str, assignment: Assignment) -> None:
        self.topic = topic
        self._assignment = assignment
        #: The next offset of each partition that is not durable: exactly this is committed.
        self.durable: dict[int, int] = {}
        self._waiting: deque[Batch] = deque()
        self._records = self._bytes = 0
        self._full = False
        self._counting = threading.Lock()
        self._arrived = asyncio.Event()
        self._resting = asyncio.Event()
        self._resting.set()

    def open(self, positions: Mapping[int, int]) -> None:
        """The partitions are held: batches are taken from now on, each partition from its position on."""
        self.durable = dict(positions)
        with self._counting:
            self._records = self._bytes = 0

    def close(self) -> None:
        """The partitions are given up: what waits undecided is dropped; the round that runs may finish."""
        self._waiting.clear()
        self._arrived.clear()

    async def closed(self) -> None:
        """Returns when no round runs."""
        await self._resting.wait()

    def has_room(self) -> bool:
        """Whether the reader may fetch more; asked from its thread."""
        share = 3 / 4 if self._full else 1
        self._full = self._records >= MOST_WAITING * share or self._bytes >= MOST_BYTES_WAITING * share
        return not self._full

    def fetched(self, batches: Fetch) -> None:
        """They are on their way; told from the reader's thread."""
        with self._counting:
            self._records += sum(len(batch.messages) for batch in batches)
            self._bytes += sum(batch.size for batch in batches)

    def is_current(self, generation: int) -> bool:
        return generation == self._assignment.held

    @property
    def waiting(self) -> int:
        """Records fetched and not yet durable."""
        return self._records

    async def serve(self, fetches: Any) -> None:
        """The agent's loop: each fetch on its Faust stream comes to this buffer. The round acknowledges."""
        async for fetch in fetches.noack():
            for batch in fetch:
                self.deliver(batch)

    def deliver(self, batch: Batch) -> None:
        """A batch has arrived; one of an earlier generation is dropped."""
        if self.is_current(batch.generation):
            self._waiting.append(batch)
            self._arrived.set()

    async def take(self) -> list[Batch]:
        self._resting.set()
        await self._arrived.wait()
        self._resting.clear()
        # Until a round is full, and not all that waits, or the reader would come back to an empty inbox buffer:
        # what it fetches takes a while to arrive.
        batches: list[Batch] = []
        taken = size = 0
        while self._waiting and taken < MOST_RECORDS and size < MOST_BYTES:
            batches.append(self._waiting.popleft())
            taken += len(batches[-1].messages)
            size += batches[-1].size
        if not self._waiting:
            self._arrived.clear()
        return batches

    def done(self, partition: int, start: int, end: int, generation: int) -> None:
        if not self._assignment.may_finish(generation):
            return
        if self.durable.get(partition) != start:
            raise Fatal(
                Exit.ROUND_FAILED,
                f"{self.topic}[{partition}] is durable up to {self.durable.get(partition)}, "
                f"but the round began at {start}; this is a bug, please report it",
            )
        self.durable[partition] = end

    def released(self, batches: Fetch) -> None:
        """They are durable, and no longer held in memory."""
        with self._counting:
            self._records = max(0, self._records - sum(len(batch.messages) for batch in batches))
            self._bytes = max(0, self._bytes - sum(batch.size for batch in batches))
