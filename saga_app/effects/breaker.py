"""A circuit breaker: a provider that does not answer is asked by one call at a time, until it answers again."""

from typing import Final

#: Calls in a row without an answer after which it opens.
FAILURES: Final = 8
#: Milliseconds that it stays open before one call is let through; twice as long each time, up to the longest.
FIRST_PAUSE: Final = 2_000
LONGEST_PAUSE: Final = 60_000


class Breaker:
    """Of one provider. While it is open nothing is written down about it, or an outage would fill the log."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause = 0
        self._until = 0
        #: True while the one call is made that an open breaker lets through.
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        return self._pause > 0

    def allows(self, now: int) -> bool:
        """True if a call may be made; whoever makes it says `asks`."""
        return not self.is_open or (now >= self._until and not self._is_trying)

    @property
    def again_at(self) -> int:
        """When it lets a call through, if it is open; in milliseconds."""
        return self._until

    def asks(self) -> None:
        """A call is made."""
        self._is_trying = self.is_open

    def answered(self) -> None:
        """There was an answer: the provider is there."""
        self._failures = self._pause = 0
        self._is_trying = False

    def failed(self, now: int) -> None:
        """There was none."""
        self._is_trying = False
        self._failures += 1
        if self._failures >= FAILURES and now >= self._until:
            self._pause = min(self._pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
            self._until = now + self._pause

    def given_up(self) -> None:
        """A call was dropped, which says nothing."""
        self._is_trying = False
