"""Wrong tokens: each is logged, and an address that sends several is not listened to for a while."""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_LOG: Final = logging.getLogger(__name__)
#: Seconds for which a wrong token counts, and how many an address, and all together, may send in that time. The second
#: bound holds for who has many addresses, and for the memory that they take.
WINDOW: Final = 60.0
MOST_OF_ONE: Final = 5
MOST_OF_ALL: Final = 100


class TokenGuesses:
    """The wrong tokens of the last minute, by the address that sent them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: When each came, and from where; the oldest first.
        self._wrong: deque[tuple[float, str]] = deque()

    def wait_of(self, remote: str) -> int:
        """Seconds for which this address must wait, for what it has sent itself; 0 if it need not wait."""
        now = self._clock()
        while self._wrong and now - self._wrong[0][0] >= WINDOW:
            self._wrong.popleft()
        own = [at for at, sender in self._wrong if sender == remote]
        return int(own[-MOST_OF_ONE] + WINDOW - now) + 1 if len(own) >= MOST_OF_ONE else 0

    def wait(self, remote: str) -> int:
        """Seconds for which a wrong token from this address is no more looked at; 0 if it is.

        The guesses of all others count too: so only wrong tokens must wait for them, or anybody could lock out all.
        """
        if own := self.wait_of(remote):
            return own
        now = self._clock()
        if len(self._wrong) >= MOST_OF_ALL:
            return int(self._wrong[-MOST_OF_ALL][0] + WINDOW - now) + 1
        return 0

    def add(self, remote: str, path: str) -> None:
        """A wrong token came. The log has the sender and the address that it asked for, and never the token."""
        self._wrong.append((self._clock(), remote))
        own = sum(sender == remote for _, sender in self._wrong)
        _LOG.warning("a wrong token from %s for %s, number %d within %.0f s", remote, path, own, WINDOW)
