"""Streams whose readers have gone, or are there and take nothing; and what looking costs."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from aiohttp import web

from harness.ports import free_port
from saga_app.web import sse
from saga_app.web.sse import REUSE_FACTOR, LiveStreams, SharedPart

Scene = Callable[[LiveStreams, int], Awaitable[None]]


def play(scene: Scene, look: Callable[[], Awaitable[str]]) -> None:
    """A server whose every address streams what `look` gives."""

    async def main() -> None:
        streams, application = LiveStreams(lambda: False), web.Application()

        async def answer(request: web.Request) -> web.StreamResponse:
            return await streams.stream(request, request.path, look)

        application.router.add_get("/{what}", answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            port = free_port()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await scene(streams, port)
        finally:
            await runner.cleanup()

    asyncio.run(main())


async def listen(port: int, what: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Asks, and takes the first event's first line only."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{what} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await reader.readuntil(b"data: ")
    return reader, writer


async def becomes(holds: Callable[[], bool]) -> None:
    """Less than the time after which a word is said to a silent reader."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


async def same() -> str:
    return "the same"


def test_who_has_gone_gives_the_place_back_and_what_nobody_sees_is_forgotten() -> None:
    async def scene(streams: LiveStreams, port: int) -> None:
        _, stays = await listen(port, "stays")
        _, goes = await listen(port, "goes")
        assert (streams.open, set(streams.parts)) == (2, {"/stays", "/goes"})
        goes.close()
        await becomes(lambda: streams.open == 1)
        assert set(streams.parts) == {"/stays"}
        stays.close()
        await becomes(lambda: streams.open == 0)
        assert not streams.parts

    play(scene, same)


def test_a_reader_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than all buffers between the two hold; the worker would wait a minute for it at its end."""
    monkeypatch.setattr(sse, "WRITE_TIMEOUT", 0.5)
    monkeypatch.setattr(sse, "RENDER_EVERY", 0.05)
    numbers = count()

    async def look() -> str:
        return f"{next(numbers)}" + "x" * 4_000_000

    async def scene(streams: LiveStreams, port: int) -> None:
        _, writer = await listen(port, "much")
        assert streams.open == 1
        await becomes(lambda: streams.open == 0)
        writer.close()

    play(scene, look)


def test_looking_takes_a_small_part_of_the_time_however_slow_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    looks: list[float] = []
    monkeypatch.setattr(sse, "monotonic", lambda: now[0])

    async def look() -> str:
        looks.append(now[0])
        now[0] += 3.0
        return str(len(looks))

    async def main() -> list[str]:
        shown, texts = SharedPart(look), []
        for after in (0.0, 1.0, 3.0 * (REUSE_FACTOR - 1) - 1.1, 0.2):
            now[0] += after
            texts.append(await shown.text())
        return texts

    assert asyncio.run(main()) == ["1", "1", "1", "2"]
