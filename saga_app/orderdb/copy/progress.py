"""A word now and then about how it goes on."""

import time
from collections.abc import Callable
from typing import Final

from saga_app.orderdb.copy.source import SourceConsumer

#: Seconds from one word to the next.
TELL_EVERY: Final = 5.0
Say = Callable[[str], None]


class Progress:
    """A word now and then about how it goes on."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told = time.monotonic()
        self._records = -1

    def tell(self, records: int, feed: SourceConsumer) -> None:
        """Every few seconds, if there is anything new."""
        now = time.monotonic()
        if self._records < 0:
            self._records = records
        if now - self._told < TELL_EVERY:
            return
        if records > self._records:
            rate = (records - self._records) / (now - self._told)
            self._say(f"{records:,} records copied ({rate:,.0f} per second), {feed.lag():,} to go")
        self._told, self._records = now, records
