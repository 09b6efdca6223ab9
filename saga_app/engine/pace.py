"""The pace of rounds: those of all agents begin together, so that one request to the broker has what they write.

Kafka's answers take a millisecond or two, and records come one by one. Without a pace each round would have the record
or two that came meanwhile, and pay for its requests alone; `docs/decisions/0038-rounds-have-a-pace.md` has the figures.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

#: Seconds from the begin of a round to the begin of the next one.
INTERVAL: Final = 0.002
#: Records that wait and are worth a round of their own, at once.
WORTH_A_ROUND: Final = 16


class Pace:
    """One for all agents of a worker."""

    def __init__(self, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is the clock of the event loop, in seconds."""
        self._interval = interval
        self._clock = clock
        self._earliest = float("-inf")
        self._turn: asyncio.Event | None = None

    async def turn(self, records: int) -> None:
        """Returns when a round with so many records may begin; all that wait begin together."""
        now = self._clock()
        if records >= WORTH_A_ROUND or now >= self._earliest:
            self._earliest = now + self._interval
            return
        if self._turn is None:
            self._turn = asyncio.Event()
            asyncio.get_running_loop().call_at(self._earliest, self._begin)
        await self._turn.wait()

    def _begin(self) -> None:
        turn, self._turn = self._turn, None
        assert turn is not None
        self._earliest = self._clock() + self._interval
        turn.set()
