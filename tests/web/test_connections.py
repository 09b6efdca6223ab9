"""Connections of the web server: who is slow, silent or one too many is cut, and the others are answered."""

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from harness.ports import free_port
from saga_app.application import create_app
from saga_app.settings import Settings
from saga_app.web import connections
from saga_app.web.connections import BoundedRunner, most_connections

HELLO = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#: More than the buffers of both sockets hold.
MUCH = 64 * 1024 * 1024
Connected = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.5)


@asynccontextmanager
async def serving(most: int = 8) -> AsyncIterator[tuple[Connected, asyncio.Event, asyncio.Event]]:
    """A server: opens connections, says that `/slow` was asked for, and is told when to answer it."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def much(request: web.Request) -> web.Response:
        asked.set()
        return web.Response(body=b"x" * MUCH)

    async def slow(request: web.Request) -> web.Response:
        asked.set()
        await may_answer.wait()
        return web.Response(text="slow")

    application = web.Application()
    application.router.add_get("/hello", hello)
    application.router.add_get("/much", much)
    application.router.add_get("/slow", slow)
    runner, port = BoundedRunner(application, most), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield lambda: asyncio.open_connection("127.0.0.1", port), asked, may_answer
    finally:
        may_answer.set()
        await runner.cleanup()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """True when the server has closed the connection without a byte."""
    try:
        return await asyncio.wait_for(reader.read(), 20) == b""
    except ConnectionError:
        return True


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """True if the connection gets its greeting."""
    writer.write(HELLO)
    return b"200 OK" in await asyncio.wait_for(reader.readuntil(b"hello"), 20)


@pytest.mark.parametrize("said", [b"", b"G", HELLO[:-2]])
def test_a_connection_without_a_whole_request_is_cut(said: bytes):
    async def run() -> None:
        async with serving() as (connect, _, _):
            reader, writer = await connect()
            writer.write(said)
            assert await is_cut(reader)

    asyncio.run(run())


def test_a_connection_that_sends_a_byte_now_and_then_is_cut_too():
    async def run() -> None:
        async with serving() as (connect, _, _):
            reader, writer = await connect()
            cut = asyncio.ensure_future(is_cut(reader))
            for byte in HELLO * 100:
                if cut.done() or writer.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.wait({cut}, timeout=0.05)
            assert cut.done() and await cut

    asyncio.run(run())


def test_a_connection_may_be_used_again_and_is_cut_when_it_is_not():
    async def run() -> None:
        async with serving() as (connect, _, _):
            reader, writer = await connect()
            assert await answers(reader, writer) and await answers(reader, writer)
            assert await is_cut(reader)

    asyncio.run(run())


def test_a_reader_that_takes_nothing_is_cut():
    async def run() -> None:
        async with serving() as (connect, asked, _):
            reader, writer = await connect()
            connection = writer.transport
            assert isinstance(connection, asyncio.Transport)
            writer.write(b"GET /much HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connection.pause_reading()
            await asyncio.wait_for(asked.wait(), 20)
            # Longer than the server waits; then all that was on its way is read.
            await asyncio.sleep(connections.PATIENCE * 4)
            connection.resume_reading()
            try:
                got = len(await asyncio.wait_for(reader.read(), 60))
            except ConnectionError:
                got = 0
            assert got < MUCH

    asyncio.run(run())


def test_a_new_connection_takes_the_place_of_the_one_that_waits_longest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "PATIENCE", 60.0)

    async def run() -> None:
        async with serving(most=3) as (connect, _, _):
            first, second, third = [await connect() for _ in range(3)]
            assert await answers(*first)
            fourth = await connect()
            assert await is_cut(second[0])
            assert all([await answers(*each) for each in (first, third, fourth)])

    asyncio.run(run())


def test_a_connection_that_is_answered_keeps_its_place(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "PATIENCE", 60.0)

    async def run() -> None:
        async with serving(most=1) as (connect, asked, may_answer):
            reader, writer = await connect()
            writer.write(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await asyncio.wait_for(asked.wait(), 20)
            late, _ = await connect()
            assert await is_cut(late)
            may_answer.set()
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"slow"), 20)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("descriptors", "most"), [(1024, 256), (400, 100), (1_000_000, 256), (-1, 256), (2, 1)]
)
def test_connections_leave_most_file_descriptors_to_the_rest_of_the_process(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, most: int
):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert most_connections() == most


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
        b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_bytes_that_are_no_http_get_one_line_and_leave_no_traceback(
    caplog: pytest.LogCaptureFixture, said: bytes
):
    caplog.set_level(logging.INFO)

    async def run() -> bytes:
        async with serving() as (connect, _, _):
            reader, writer = await connect()
            writer.write(said)
            return await asyncio.wait_for(reader.read(), 20)

    head, _, body = asyncio.run(run()).partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert body == b"This request is no HTTP that this server understands.\n"
    assert "no HTTP" in caplog.text and "Traceback" not in caplog.text


def test_a_worker_serves_its_pages_and_those_of_faust_on_bounded_connections(tmp_path: Path):
    """Its whole server answers to its own names only, and to odd requests in one line."""

    async def run() -> list[tuple[bytes, bytes]]:
        app = create_app(Settings(data_dir_text=str(tmp_path), web_port_text=str(free_port())))
        app.finalize()
        app.web.init_server()
        runner = app.web._runner
        assert isinstance(runner, BoundedRunner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", app.settings.web_port).start()
        found = []
        for path, host in (
            ("/table/orders/%00/", "127.0.0.1"),
            ("/table/orders/1/", "evil.example"),
            ("/metrics", "evil.example"),
            ("/router/orders/1/", "127.0.0.1"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", app.settings.web_port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
            found.append((head.split()[1], body))
        await runner.cleanup()
        return found

    found = asyncio.run(run())
    assert [status for status, _ in found] == [b"400", b"421", b"421", b"503"]
    assert all(body.count(b"\n") <= 1 for _, body in found)
