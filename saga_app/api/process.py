"""The process of the API: it listens, and stops in order."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn

from saga_app.api.app import create_app
from saga_app.api.connections import PATIENCE, BoundedConnection, most_connections
from saga_app.api.parts import Parts
from saga_app.security import SettingsError
from saga_app.settings import Settings
from saga_app.tokens import TokenFile

#: Seconds in which requests that are under way may end.
STOP_WITHIN: Final = 15
#: Connections that wait to be accepted.
_BACKLOG: Final = 1024


class ApiServer(uvicorn.Server):
    """A server that answers all who wait before it ends."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end it in order, with exit code 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """From now on it takes no connection, and nobody waits."""
        self._parts.stops = True
        self._parts.outcomes.stop_waiting()
        self.should_exit = True


def check(settings: Settings) -> None:
    """Raises `SettingsError` if the API must not start with these settings."""
    if settings.api_tokens_file:
        TokenFile(settings.api_tokens_file).read()
    elif not settings.is_api_local:
        raise SettingsError(
            f"SAGA_API_BIND is {settings.api_bind!r}, so other machines can reach the API, and SAGA_API_TOKENS is not "
            "set: name a file and make a token, `saga api-token new NAME --scope order`"
        )


def listening(settings: Settings) -> socket.socket:
    """The socket. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in settings.api_bind else socket.AF_INET
    return socket.create_server(
        (settings.api_bind.strip("[]"), settings.api_port), family=family, backlog=_BACKLOG
    )


def serve(settings: Settings, listener: socket.socket, say: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT."""
    asyncio.run(_serve(settings, listener, say))


async def _serve(settings: Settings, listener: socket.socket, say: Callable[[str], None]) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    BoundedConnection.most = most_connections()
    parts = Parts.of(settings)
    config = uvicorn.Config(
        create_app(parts),
        http=BoundedConnection,
        ws="none",
        loop="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(PATIENCE),
        timeout_graceful_shutdown=STOP_WITHIN,
    )
    say(f"API at http://{settings.api_bind}:{settings.api_port}/, documentation at /docs, until Ctrl-C")
    await ApiServer(config, parts).serve([listener])
