"""Fewer lines: while a broker is away, aiokafka logs about 40 errors a second, the same few over and over.

Lines that only say that no broker is reached are left out while `Outage` says so in its own words.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from saga_app.engine import reader

#: Seconds for which a line of a kind is the only one.
PAUSE: Final = 60.0
#: The beginnings of lines that say that a broker is not reached.
_UNREACHED: Final = (
    "Unable connect to",
    "Unable to update metadata",
    "Unable to request metadata",
    "Group Coordinator Request failed",
    "Error sending OffsetCommitRequest",
    "Error sending HeartbeatRequest",
    "Error sending JoinGroupRequest",
    "Error sending SyncGroupRequest",
    "Failed to commit offsets",
    "Marking the coordinator dead",
    "Heartbeat failed",
    "Heartbeat send request failed",
    "Heartbeat session expired",
    "OffsetCommit failed",
    "no broker answers the reader",
)


class OneOfAKind(logging.Filter):
    """Lets one line of a kind through per `PAUSE`, which tells how many were left out since the one before it.

    Lines are of a kind if they have the same words around what is filled in; below WARNING only if they are the same.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        complain: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._complain = complain
        self._clock = clock
        #: Of each kind: when a line was let through, its text, and how many were left out since.
        self._last: dict[tuple[str, int, str], tuple[float, str, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.levelno >= logging.WARNING and text.startswith(_UNREACHED) and self._complain():
            return False
        kind, now = (record.name, record.levelno, str(record.msg)), self._clock()
        since, before, left_out = self._last.get(kind, (float("-inf"), "", 0))
        alike = record.levelno >= logging.WARNING or text == before
        if alike and now - since < PAUSE:
            self._last[kind] = (since, before, left_out + 1)
            return False
        self._last[kind] = (now, text, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} more of this kind)"
        return True


def quieten(complain: Callable[[], bool] = lambda: False) -> None:
    """From now on, for our reader and every logger of aiokafka; a filter does not hold for loggers below its own.

    `complain` is told that a broker is not reached; if it returns True, it says so itself.
    """
    once = OneOfAKind(complain=complain)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "aiokafka" or name == reader.__name__:
            logging.getLogger(name).addFilter(once)
