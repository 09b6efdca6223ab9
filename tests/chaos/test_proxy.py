"""The line between a worker and the broker: it passes everything on, later, not at all for a while, or is torn."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from saga_app.local import config
from tests.chaos.proxy import Proxy


def echo(server: socket.socket) -> None:
    """Gives back what comes, connection by connection, until the server is closed."""
    while True:
        try:
            line, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_give_back, args=(line,), daemon=True).start()


def _give_back(line: socket.socket) -> None:
    with line, suppress(OSError):
        while piece := line.recv(1000):
            line.sendall(piece)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that gives back what comes."""
    with socket.create_server((config.HOST, 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        proxy = Proxy(config.free_ports(1)[0], server.getsockname()[1]).start()
        try:
            yield proxy
        finally:
            proxy.close()


@pytest.fixture
def line(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((config.HOST, proxy.port), timeout=10) as line:
        yield line


def test_it_passes_everything_on(line: socket.socket) -> None:
    line.sendall(b"hello")
    assert line.recv(100) == b"hello"


def test_a_slow_line_delays_both_ways(proxy: Proxy, line: socket.socket) -> None:
    proxy.delay(0.1)
    began = time.monotonic()
    line.sendall(b"hello")
    assert line.recv(100) == b"hello"
    assert time.monotonic() - began >= 0.2


def test_records_sent_into_a_cut_line_arrive_when_it_is_healed(proxy: Proxy, line: socket.socket) -> None:
    """So a request of a worker that was replaced meanwhile reaches the broker late, as from a zombie."""
    proxy.cut()
    line.sendall(b"late")
    line.settimeout(0.2)
    with pytest.raises(TimeoutError):
        line.recv(100)
    proxy.heal()
    line.settimeout(10)
    assert line.recv(100) == b"late"


def test_a_torn_line_is_reset_and_a_new_one_passes(proxy: Proxy, line: socket.socket) -> None:
    line.sendall(b"hello")
    assert line.recv(100) == b"hello"
    proxy.tear()
    with pytest.raises(ConnectionResetError):
        line.recv(100)
    with socket.create_connection((config.HOST, proxy.port), timeout=10) as another:
        another.sendall(b"again")
        assert another.recv(100) == b"again"


def test_a_broker_tells_the_clients_of_its_proxied_listener_to_come_to_the_proxy(tmp_path: Path) -> None:
    """Clients connect to what a broker advertises, whatever they were given first."""
    plain = config.properties(1, 2, tmp_path)
    proxied = config.with_proxied_listener(plain, 3, 4)
    assert proxied["listeners"] == f"{plain['listeners']},PROXIED://127.0.0.1:3"
    assert proxied["advertised.listeners"] == f"{plain['advertised.listeners']},PROXIED://127.0.0.1:4"
    assert proxied["listener.security.protocol.map"].endswith(",PROXIED:PLAINTEXT")
