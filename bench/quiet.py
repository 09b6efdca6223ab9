"""The gate of a measurement: it waits until other programs leave the machine alone. Linux only, from /proc."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.environments import Say

#: The share of all processors that may be busy before a measurement begins.
QUIET: Final = 0.1
#: Seconds of one look, and of all waiting in one run.
LOOK: Final = 1.0
PATIENCE: Final = 600.0

#: Ticks in which the processors were busy, and all ticks, since the machine started.
Ticks = tuple[int, int]


def ticks() -> Ticks:
    """Of all processors together; waiting for a disk is not busy, what the host steals is."""
    fields = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


class QuietGate:
    """Before each measurement; what is measured must rest meanwhile."""

    def __init__(
        self,
        say: Say,
        patience: float = PATIENCE,
        look: Callable[[], Ticks] = ticks,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """It waits for `patience` seconds in all, says that it waits, and says so when it goes on beside others."""
        self._say = say
        self._patience = patience
        self._look = look
        self._pause = pause

    def wait(self) -> None:
        """Until other programs use less than `QUIET` of the processors, or the patience is over."""
        if self._patience <= 0:
            return
        before, is_said = self._look(), False
        while self._patience > 0:
            self._pause(LOOK)
            now = self._look()
            share = (now[0] - before[0]) / max(1, now[1] - before[1])
            if share < QUIET:
                return
            self._patience -= LOOK
            if self._patience <= 0:
                self._say(
                    f"goes on beside other programs, which use {share:.0%}: the figures are worth little"
                )
            elif not is_said:
                is_said = True
                used = f"they use {share:.0%}"
                self._say(f"waits until other programs use less than {QUIET:.0%} of the processors; {used}")
            before = now
