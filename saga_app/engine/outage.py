"""Tells that the broker is lost, once a minute that it still is, and that it is back: instead of all clients' lines."""

import logging
import time
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

#: Seconds without an answered heartbeat, and with a client that cannot reach a broker, until the broker is lost.
GRACE: Final = 4.0
#: Seconds for which a client's trouble counts: while a broker is away, each client tries at least so often.
TROUBLE: Final = 20.0
#: Seconds from one reminder to the next.
REMINDER: Final = 60.0


class Outage:
    """Fed by the clients' complaints, and by the age of the last good heartbeat; asked once a second."""

    def __init__(self, age: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._age = age
        self._clock = clock
        #: When this trouble began, and when a client last complained.
        self._began = self._complained = float("-inf")
        self._lost: float | None = None
        self._told = 0.0

    def complain(self) -> bool:
        """A client cannot reach a broker. True if its line says no more than ours do, or will soon."""
        now = self._clock()
        if now - self._complained > TROUBLE:
            self._began = now
        self._complained = now
        return self._age() > GRACE or now - self._began < GRACE

    def look(self) -> None:
        """Logs a line if the broker was lost or is back since the last look, or if it is time for a reminder."""
        now = self._clock()
        if self._age() > GRACE and (self._lost is not None or now - self._complained < TROUBLE):
            self._tell_lost(now)
        elif self._lost is not None:
            logger.warning("the Kafka broker is back after %.0f s", now - self._lost)
            self._lost = None

    def _tell_lost(self, now: float) -> None:
        if self._lost is None:
            self._lost = self._told = now
            logger.error("the Kafka broker is lost: no client reaches it; records wait and nothing is lost")
        elif now - self._told >= REMINDER:
            self._told = now
            logger.error("the Kafka broker is still lost, for %.0f s", now - self._lost)
