"""How far workers have taken checkout's inbox, so that an order that nobody has taken is one, at any lag of the copy.

A worker commits an offset after the rows of everything before it are in the changelog. So the committed offsets are
read first and the changelog's end second; when the copy has reached that end, it has the row of every order that was
taken before the committed offsets. An `OrderPlaced` behind them without a row is not taken.
"""

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.kafka.messages import Place

#: Seconds from one question to the next.
ASK_EVERY: Final = 2.0


class Taken(NamedTuple):
    """The workers' committed offset in each partition of checkout's inbox, and the end of the changelog after it."""

    offsets: Mapping[int, int]
    ends: Mapping[Place, int]


class TakenPositions:
    """Decides when to ask, and when an answer is true of the copy."""

    def __init__(self, start: Mapping[Place, int]) -> None:
        self._position = dict(start)
        self._asked_at = float("-inf")
        self._waiting: Taken | None = None
        self._known: Mapping[int, int] = {}

    def reached(self, positions: Mapping[Place, int]) -> None:
        """The copy has reached these positions."""
        self._position.update(positions)

    def must_ask(self) -> bool:
        """True if workers may have taken more than is known, and the last question was some time ago."""
        if self._waiting is not None or time.monotonic() - self._asked_at < ASK_EVERY:
            return False
        # Also if the question fails: it is not repeated at once.
        self._asked_at = time.monotonic()
        return any(
            topic == topics.CHECKOUT and self._known.get(partition, -1) < offset
            for (topic, partition), offset in self._position.items()
        )

    def told(self, taken: Taken) -> None:
        """The answer."""
        self._waiting = taken

    def true_now(self) -> Mapping[int, int] | None:
        """The offsets that are true of the copy from now on; None if there are no new ones."""
        waiting = self._waiting
        if waiting is None or any(self._position.get(place, 0) < end for place, end in waiting.ends.items()):
            return None
        self._waiting = None
        if waiting.offsets == self._known:
            return None
        self._known = waiting.offsets
        return waiting.offsets
