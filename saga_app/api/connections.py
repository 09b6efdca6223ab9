"""The connections of the API: slow and idle ones are cut, and there are never more than the process can carry.

uvicorn alone waits for the first request of a connection, and for a reader that takes nothing, for ever.
"""

import asyncio
import resource
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

#: Seconds in which a request must be there, in which an idle connection must begin the next one, and in which a reader
#: must take something of a response.
PATIENCE: Final = 10.0
#: Connections at the same time: a thousand callers that wait, and others.
MOST_CONNECTIONS: Final = 1_500
#: File descriptors that are kept for Kafka, the order database and files.
KEPT_DESCRIPTORS: Final = 128


def most_connections() -> int:
    """The number of connections at the same time; it raises the limit of file descriptors as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + KEPT_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(1, soft - KEPT_DESCRIPTORS))


class BoundedConnection(H11Protocol):
    """One connection."""

    #: Set before the server starts.
    most: int = MOST_CONNECTIONS
    #: By server, the connections that wait for a request, the longest first.
    _idle: Final[dict[int, dict["BoundedConnection", None]]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._cut: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._waits()
        if len(self.connections) > self.most:
            # The newest takes the place of the one that is idle longest; if none is, it goes itself.
            next(iter(self._waiting), self).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.pop(self, None)
        self._cut = _cancelled(self._cut)
        self._slow = _cancelled(self._slow)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self._is_busy():
            self._waiting.pop(self, None)
            self._cut = _cancelled(self._cut)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_busy():
            self._waits()

    def pause_writing(self) -> None:
        """The reader takes less than it gets: it is cut if it goes on so."""
        super().pause_writing()
        if self._slow is None:
            self._slow = self.loop.call_later(PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        self._slow = _cancelled(self._slow)
        super().resume_writing()

    def _is_busy(self) -> bool:
        """True if it answers a request; before the first one there is no cycle, whatever the types say."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def _waiting(self) -> dict["BoundedConnection", None]:
        return self._idle.setdefault(id(self.server_state), {})

    def _waits(self) -> None:
        """The connection waits for a request from now on."""
        self._waiting.pop(self, None)
        self._waiting[self] = None
        self._cut = _cancelled(self._cut)
        self._cut = self.loop.call_later(PATIENCE, self.transport.abort)


def _cancelled(timer: asyncio.TimerHandle | None) -> Any:
    if timer is not None:
        timer.cancel()
