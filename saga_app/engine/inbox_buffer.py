"""The inbox buffer: the one queue between the reader and an agent. It knows what is durable, and what is too much.

The reader's thread counts what it fetched, the main loop lays it down here, and the agent takes all that lies.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Self

from saga_app.core.numbers import Generation, Offset
from saga_app.engine.assignment import Assignment
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.pace import Pace
from saga_app.engine.round import MOST_BYTES, MOST_RECORDS
from saga_app.kafka.messages import Batch, Fetch

#: Records fetched and not yet durable, per inbox, and their bytes: the reader leaves the inbox out above either, until
#: a quarter of it is durable: it has thrown away what it had fetched ahead, and would do nothing else if it came back
#: at once. A record may have 1 MiB, so the bytes alone keep whoever can write to an inbox from filling the memory.
MOST_WAITING: Final = 8_000
MOST_BYTES_WAITING: Final = 32 * 1024 * 1024


class InboxBuffer:
    """Batches of one inbox that wait, and how far each partition is durable. See `ports.Batches` and `ports.Inbox`."""

    def __init__(
        self,
        topic: str,
        assignment: Assignment,
        settled: Callable[[Fetch, float], None] = lambda batches, seconds: None,
        pace: Pace | None = None,
    ) -> None:
        """`settled` hears of all batches with which the agent has done, and how many seconds it had them.

        Without a `pace` a round begins as soon as anything waits.
        """
        self.topic = topic
        self._assignment = assignment
        #: The next offset of each partition that is not durable: exactly this is committed.
        self.durable: dict[int, Offset] = {}
        self._settled = settled
        self._pace = pace
        self._waiting: deque[Batch] = deque()
        #: What the agent has, and since when.
        self._taken: list[Batch] = []
        self._taken_at = 0.0
        self._records = self._bytes = 0
        self._full = False
        self._counting = threading.Lock()
        self._arrived = asyncio.Event()
        self._resting = asyncio.Event()
        self._resting.set()

    def open(self, positions: Mapping[int, Offset]) -> None:
        """The partitions are held: batches are taken from now on, each partition from its position on."""
        self.durable = dict(positions)
        with self._counting:
            self._records = self._bytes = 0

    def close(self) -> None:
        """The partitions are given up: what waits undecided is dropped; the round that runs may finish."""
        self._waiting.clear()

    async def closed(self) -> None:
        """Returns when the agent has nothing in hand."""
        await self._resting.wait()

    def has_room(self) -> bool:
        """True if the reader may fetch more; asked from its thread."""
        share = 3 / 4 if self._full else 1
        self._full = self._records >= MOST_WAITING * share or self._bytes >= MOST_BYTES_WAITING * share
        return not self._full

    def fetched(self, batches: Fetch) -> None:
        """They are on their way; told from the reader's thread."""
        with self._counting:
            self._records += sum(len(batch.messages) for batch in batches)
            self._bytes += sum(batch.size for batch in batches)

    def is_current(self, generation: Generation) -> bool:
        return generation == self._assignment.held

    @property
    def waiting(self) -> int:
        """Records fetched and not yet durable."""
        return self._records

    def deliver(self, batch: Batch) -> None:
        """A batch has arrived; one of an earlier generation is dropped."""
        if self.is_current(batch.generation):
            self._waiting.append(batch)
            self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Batch]:
        """All that waits, or as much of it as a round should have: at least one batch."""
        if self._taken:
            self._release()
        self.rest()
        await self._may_begin()
        self._resting.clear()
        self._taken, self._taken_at = self._take(), time.perf_counter()
        return self._taken

    async def _may_begin(self) -> None:
        """Returns when anything waits and a round may begin with it."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            if self._pace is None:
                return
            await self._pace.turn(sum(len(batch.messages) for batch in self._waiting))
            # Meanwhile the partitions may have been given up.
            if self._waiting:
                return

    def rest(self) -> None:
        """The agent has nothing in hand: it has done with all, or was stopped on its way."""
        self._resting.set()

    def _take(self) -> list[Batch]:
        # Until a round is full, and not all that waits, or the reader would come back to an empty buffer: its next
        # fetch takes a while to arrive.
        batches: list[Batch] = []
        taken = size = 0
        while self._waiting and taken < MOST_RECORDS and size < MOST_BYTES:
            batches.append(self._waiting.popleft())
            taken += len(batches[-1].messages)
            size += batches[-1].size
        return batches

    def done(self, partition: int, start: Offset, end: Offset, generation: Generation) -> None:
        if not self._assignment.may_finish(generation):
            return
        if self.durable.get(partition) != start:
            raise Fatal(
                Exit.ROUND_FAILED,
                f"{self.topic}[{partition}] is durable up to {self.durable.get(partition)}, "
                f"but the round began at {start}; this is a bug, please report it",
            )
        self.durable[partition] = end

    def _release(self) -> None:
        """The agent has done with all that it had: it is durable, or left to the next owner."""
        batches, self._taken = self._taken, []
        with self._counting:
            self._records = max(0, self._records - sum(len(batch.messages) for batch in batches))
            self._bytes = max(0, self._bytes - sum(batch.size for batch in batches))
        self._settled(batches, time.perf_counter() - self._taken_at)
