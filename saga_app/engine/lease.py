"""The lease: nothing is sent unless this worker certainly still owns its partitions.

A paused worker that wakes up would otherwise publish before anything tells it that it was replaced. The age of the
last good heartbeat, counted from before its request, plus the time that a delivery may take, must stay below the
session timeout: then no successor can have been chosen before our records are in the log or are given up.

A pause between that question and the socket cannot be seen from inside the process. A record that slips through is
a repeat of what the successor says, or an older version of its rows, and the rules absorb both: the lease keeps
zombies rare, the rules keep them harmless.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from saga_app.core.numbers import Generation
from saga_app.engine.assignment import Assignment
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.ports import GivenUp

#: Seconds on a clock that goes on while the machine sleeps.
uptime: Final = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
#: aiokafka's number while it joins anew (`OffsetCommitRequest.DEFAULT_GENERATION_ID`): the group forgot this member.
JOINING: Final = Generation(-1)
#: Before every time of a clock.
NEVER: Final = float("-inf")


class Lease:
    """Renewed by heartbeats from the consumer's thread, asked for before each send from the main loop."""

    def __init__(
        self,
        session_timeout: float,
        delivery_timeout: float,
        assignment: Assignment,
        clock: Callable[[], float] = uptime,
        poll: float = 0.02,
    ) -> None:
        if delivery_timeout >= session_timeout:
            raise ValueError("the delivery timeout must be shorter than the session timeout")
        self.session = session_timeout
        self.longest = session_timeout - delivery_timeout
        self.clock = clock
        self.poll = poll
        self._assignment = assignment
        self._renewed: tuple[Generation | None, float] = (None, NEVER)
        self._taken: tuple[Generation | None, float] = (None, NEVER)
        self._current: Callable[[], Generation | None] = lambda: None

    def follow(self, current: Callable[[], Generation | None]) -> None:
        """Tells where the group's present generation can be read."""
        self._current = current

    def renew(self, generation: Generation, asked_at: float) -> bool:
        """A heartbeat of this generation, asked at that time of our clock, was answered without error.

        False if that renews nothing, so that the group must be asked to join again: whoever was silent for longer than
        the session may have been replaced, and one answer does not say that he was not. A coordinator that still loads
        its groups answers every heartbeat without error (Apache Kafka, `GroupCoordinatorService`).
        """
        known = [at for each, at in (self._renewed, self._taken) if each == generation]
        if known and asked_at - max(known) > self.session:
            return False
        self._renewed = (generation, asked_at)
        return True

    def take(self, generation: Generation) -> None:
        """Partitions are assigned: whoever joins has asked the group just now."""
        self._taken = (generation, self.clock())

    def holds(self, generation: Generation) -> bool:
        """True if records may be sent now: they are in the log, or given up, before anyone can take over."""
        renewed, asked_at = self._renewed
        return renewed == generation == self._current() and asked_at + self.longest >= self.clock()

    @property
    def age(self) -> float:
        """Seconds since the last heartbeat that was answered was asked."""
        return self.clock() - self._renewed[1]

    async def hold(self, generation: Generation) -> None:
        """Waits until the lease holds; `Fatal` if the group moved on and this worker has not heard of it.

        `GivenUp` where the partitions are no longer ours: during a rebalance no heartbeat renews the lease. A member
        that joins anew hears of that in a moment, since it gives up its partitions first.
        """
        while not self.holds(generation):
            if not self._assignment.is_ours(generation):
                raise GivenUp(f"generation {generation}")
            if self._current() not in (generation, JOINING):
                raise Fatal(
                    Exit.LEASE_LOST,
                    f"the group is at generation {self._current()} and this worker's round at {generation}; "
                    "its partitions belong to another worker now",
                )
            await asyncio.sleep(self.poll)
