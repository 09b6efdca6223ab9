"""The connections of the web server: slow and idle ones are cut, and there are never more than the process can carry.

aiohttp alone keeps a connection that says nothing for an hour, and one whose reader takes nothing for ever. Each holds
a file descriptor, and without descriptors a worker reaches neither its broker nor its tables.
"""

import asyncio
import logging
import resource
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_log import AccessLogger
from aiohttp.web_protocol import RequestHandler

_LOG: Final = logging.getLogger(__name__)
#: Seconds in which a request must be there, in which an idle connection must begin the next one, and in which a reader
#: must take something of a response.
PATIENCE: Final = 10.0
#: Connections at the same time, and the part of the process's file descriptors that they may have: the rest is kept for
#: Kafka, the tables and the order database.
MOST_CONNECTIONS: Final = 256
SHARE_OF_DESCRIPTORS: Final = 4


def most_connections() -> int:
    """The number of connections at the same time."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(1, descriptors // SHARE_OF_DESCRIPTORS))


class BoundedHandler(RequestHandler):
    """One connection. Its server knows whether it waits for a request or answers one."""

    def __init__(self, server: "BoundedServer", **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.waits(self)
        self._server.make_room(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.left(self)
        self._spare()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The reader takes less than it gets: it is cut if it goes on so."""
        super().pause_writing()
        if self.transport is not None and self._cut is None:
            self._cut = self._loop.call_later(PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        self._spare()
        super().resume_writing()

    def force_close(self) -> None:
        """Closes the connection, also if its reader never takes the bytes that asyncio would still send."""
        transport = self.transport
        super().force_close()
        if transport is not None:
            self._loop.call_later(PATIENCE, transport.abort)

    def _spare(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def log_access(self, request: web.BaseRequest, response: web.StreamResponse, time: float | None) -> None:
        """A response was sent: aiohttp calls this last."""
        super().log_access(request, response, time)
        self._server.waits(self)

    def log_exception(self, *args: Any, **options: Any) -> None:
        """A body that is not what its headers say leaves no traceback: anybody may send it."""
        error = options.get("exc_info")
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            _LOG.info("a request has a broken body: %s", type(error).__name__)
        else:
            super().log_exception(*args, **options)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """One line for the sender. Bytes that are no HTTP leave no traceback: anybody may send them."""
        if status >= 500:
            _LOG.error("a request from %s failed: %s", request.remote, request.rel_url, exc_info=exc)
            text = "This request failed; the log says why.\n"
        else:
            _LOG.info("a request from %s is no HTTP: %s", request.remote, type(exc).__name__)
            text = "This request is no HTTP that this server understands.\n"
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun, so the connection is closed")
        response = web.Response(status=status, text=text)
        response.force_close()
        return response


class BoundedServer(web.Server):
    """At most so many connections. A further one takes the place of the one that waits longest for a request."""

    def __init__(self, handler: Any, *, most: int, **options: Any) -> None:
        super().__init__(handler, **options)
        self.most = most
        self._options = {name: value for name, value in options.items() if name != "request_factory"}
        self._open: set[BoundedHandler] = set()
        #: Connections that wait for a request, the longest first.
        self._waiting: dict[BoundedHandler, None] = {}
        make = self.request_factory

        def begin(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            self._waiting.pop(protocol, None)
            return make(message, payload, protocol, writer, task)

        self.request_factory = begin

    def __call__(self) -> BoundedHandler:
        return BoundedHandler(self, **self._options)

    def waits(self, connection: BoundedHandler) -> None:
        """The connection waits for a request from now on."""
        self._open.add(connection)
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def left(self, connection: BoundedHandler) -> None:
        """The connection is closed."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def make_room(self, newest: BoundedHandler) -> None:
        """Cuts the connection that waits longest if there are too many; the newest if all others are busy."""
        if len(self._open) > self.most:
            longest = next(iter(self._waiting), newest)
            self.left(longest)
            if longest.transport is not None:
                longest.transport.abort()


class BoundedRunner(web.AppRunner):
    """Runs an application on a `BoundedServer`."""

    def __init__(self, application: web.Application, most: int | None = None) -> None:
        super().__init__(application, shutdown_timeout=2.0)
        self._most = most_connections() if most is None else most

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return BoundedServer(
            made.request_handler,
            most=self._most,
            request_factory=made.request_factory,
            loop=asyncio.get_running_loop(),
            access_log=None,
            access_log_class=AccessLogger,
            keepalive_timeout=PATIENCE,
            lingering_time=PATIENCE,
            # No form of ours is compressed, and a small one may hold a gigabyte.
            auto_decompress=False,
        )
