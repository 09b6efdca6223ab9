"""Connections of the real server: slow ones, idle ones, too many, heads that are too large, and a stop in order."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
import uvicorn

from harness.ports import free_port
from saga_app.api.app import create_app
from saga_app.api.connections import BoundedConnection
from saga_app.api.process import ApiServer
from saga_app.settings import Settings
from tests.api.door import Door
from tests.web.shop import FilledShop

ALIVE = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class ServedDoor(Door):
    """The API behind uvicorn, in a thread, as `saga api` has it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.port = free_port()
        config = uvicorn.Config(
            create_app(self.parts),
            port=self.port,
            http=BoundedConnection,
            ws="none",
            lifespan="on",
            log_config=None,
            timeout_graceful_shutdown=5,
        )
        self.server = ServerInThread(config, self.parts)
        self.thread = Thread(target=self.server.run, daemon=True)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


class ServerInThread(ApiServer):
    """Signals are for the main thread."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        self.loop = asyncio.get_running_loop()
        yield


@pytest.fixture
def served(shop: FilledShop, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedDoor]:
    monkeypatch.setattr("saga_app.api.connections.PATIENCE", 0.5)
    monkeypatch.setattr(BoundedConnection, "most", 4)
    door = ServedDoor(replace(shop.settings, broker="127.0.0.1:1"))
    door.thread.start()
    end = time.monotonic() + 20
    while not door.server.started:
        assert time.monotonic() < end
        time.sleep(0.01)
    yield door
    # A test may have stopped it.
    with contextlib.suppress(RuntimeError):
        door.server.loop.call_soon_threadsafe(door.server.stop)
    door.thread.join(20)
    assert not door.thread.is_alive()


def ends(connection: socket.socket) -> bool:
    """True as soon as the server has cut it."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def request(path: str, *headers: str, body: str = "", method: str = "GET") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers)
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def test_a_connection_that_says_nothing_or_only_a_part_is_cut(served: ServedDoor):
    for beginning in (b"", ALIVE[:20], ALIVE):
        with served.connect() as connection:
            began = time.monotonic()
            connection.sendall(beginning)
            assert ends(connection) and time.monotonic() - began < 10


def test_a_part_now_and_then_does_not_keep_a_connection(served: ServedDoor):
    with served.connect() as connection:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in ALIVE[:-4] * 9:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
        assert ends(connection) and time.monotonic() - began < 10


def test_a_newcomer_takes_the_place_of_the_connection_that_is_idle_longest(
    served: ServedDoor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("saga_app.api.connections.PATIENCE", 30)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(served.connect()) for _ in range(4)]
        newest = stack.enter_context(served.connect())
        newest.sendall(ALIVE)
        assert newest.recv(65536).startswith(b"HTTP/1.1 200")
        assert ends(idle[0])
        idle[3].sendall(ALIVE)
        assert idle[3].recv(65536).startswith(b"HTTP/1.1 200")


def test_a_head_that_is_too_large_is_not_read(served: ServedDoor):
    with served.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request("/livez", f"X: {'x' * 200_000}"))
            assert connection.recv(65536).startswith(b"HTTP/1.1 400")
        assert ends(connection)


def test_a_reader_that_takes_nothing_of_a_stream_is_given_up(served: ServedDoor, monkeypatch: Any):
    monkeypatch.setattr("saga_app.api.events._event", lambda *_: "x" * 1_000_000)
    with served.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request("/v1/orders/o-1/events"))
        time.sleep(1)
        end = time.monotonic() + 10
        while served.server.server_state.connections:
            assert time.monotonic() < end, "the connection is still there"
            time.sleep(0.05)


def test_who_waits_is_answered_before_the_server_ends(served: ServedDoor):
    with served.connect() as connection:
        body = '{"order_id": "new-1", "amount": "5"}'
        headers = ("Content-Type: application/json", "Prefer: wait=60")
        connection.sendall(request("/v1/orders", *headers, body=body, method="POST"))
        while not served.outcomes.waiting:
            time.sleep(0.01)
        began = time.monotonic()
        served.server.loop.call_soon_threadsafe(served.server.stop)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202")
        assert time.monotonic() - began < 5
    served.thread.join(20)
    assert not served.thread.is_alive()
