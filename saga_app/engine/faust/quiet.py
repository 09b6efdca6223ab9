"""Fewer lines: while a broker is away, aiokafka logs about 40 errors a second, the same few over and over."""

import logging
import time
from collections.abc import Callable
from typing import Final

#: Seconds for which a line of a kind is the only one.
PAUSE: Final = 10.0


class OneOfAKind(logging.Filter):
    """Lets one line of a kind through per `PAUSE`, which tells how many were left out since the one before it.

    Lines are of a kind if they have the same words around what is filled in; below WARNING only if they are the same.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        #: Of each kind: when a line was let through, its text, and how many were left out since.
        self._last: dict[tuple[str, int, str], tuple[float, str, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, text, now = (record.name, record.levelno, str(record.msg)), record.getMessage(), self._clock()
        since, before, left_out = self._last.get(kind, (float("-inf"), "", 0))
        alike = record.levelno >= logging.WARNING or text == before
        if alike and now - since < PAUSE:
            self._last[kind] = (since, before, left_out + 1)
            return False
        self._last[kind] = (now, text, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} more of this kind)"
        return True


def quieten() -> None:
    """From now on, for every logger of aiokafka; a filter of a logger does not hold for those below it."""
    once = OneOfAKind()
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "aiokafka":
            logging.getLogger(name).addFilter(once)
