"""Live pages: the server sends a part of a page again, as a server-sent event, when it has changed.

A stream has three kinds of events: the page's part, the health strip (`health`), and every second or two the server's
time (`beat`), so that a page knows when it is no longer live.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, tzinfo
from time import monotonic
from typing import Final

from aiohttp import web

from saga_app.times import clock, now

#: Streams at the same time; a further one gets a 503. Every open page has one.
MOST_STREAMS: Final = 64
#: Seconds from one rendering to the next.
RENDER_EVERY: Final = 1.0
#: Seconds in which a stream notices that the process stops or the reader has gone.
POLL_INTERVAL: Final = 0.25
#: Seconds for which a reader may take nothing (its machine may sleep) before the stream ends.
WRITE_TIMEOUT: Final = 5.0
#: A rendering is used for so many times as long as it took: rendering takes at most this part of the time.
REUSE_FACTOR: Final = 5


class SharedPart:
    """The last rendering of one live part, and the number of streams that show it."""

    def __init__(self, render: Callable[[], Awaitable[str]]) -> None:
        self.readers = 0
        self._render = render
        self._rendering = asyncio.Lock()
        self._text = ""
        self._fresh_until = 0.0

    async def text(self) -> str:
        """The last rendering if it is fresh, else a new one."""
        async with self._rendering:
            if monotonic() >= self._fresh_until:
                began = monotonic()
                self._text = await self._render()
                took = monotonic() - began
                self._fresh_until = began + max(RENDER_EVERY * 0.9, took * REUSE_FACTOR)
            return self._text


class LiveStreams:
    """The open streams of one process."""

    def __init__(self, stops: Callable[[], bool]) -> None:
        self._stops = stops
        self.open = 0
        self.parts: dict[str, SharedPart] = {}

    async def stream(
        self,
        request: web.Request,
        key: str,
        render: Callable[[], Awaitable[str]],
        health: Callable[[], str] = lambda: "",
        zone: tzinfo = UTC,
    ) -> web.StreamResponse:
        """Sends a part, and the health strip, until the reader goes or the server stops.

        Streams with the same key share one rendering. Times are in this zone.
        """
        if self.open >= MOST_STREAMS or self._stops():
            return web.Response(status=503, headers={"Retry-After": "10"}, text="too many live pages\n")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        part = self.parts.setdefault(key, SharedPart(render))
        self.open += 1
        part.readers += 1
        try:
            await response.prepare(request)
            await _in_time(response.write(b"retry: 2000\n\n"))
            await self._send(request, response, part, health, zone)
            await _in_time(response.write_eof())
        except ConnectionError:
            pass
        except TimeoutError:
            # aiohttp would wait for the unsent bytes when the process ends.
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.open -= 1
            part.readers -= 1
            if not part.readers:
                del self.parts[key]
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        part: SharedPart,
        health: Callable[[], str],
        zone: tzinfo,
    ) -> None:
        last: dict[str, str] = {}
        while not self._ends(request):
            found = {"message": await part.text(), "health": health(), "beat": clock(now(), now(), zone)}
            changed = b"".join(
                _event(name, text) for name, text in found.items() if text != last.get(name, "")
            )
            await _in_time(response.write(changed))
            last = found
            until = monotonic() + RENDER_EVERY
            while monotonic() < until and not self._ends(request):
                await asyncio.sleep(POLL_INTERVAL)

    def _ends(self, request: web.Request) -> bool:
        """True if the process stops or the reader has gone."""
        return self._stops() or request.transport is None


async def _in_time(written: Awaitable[None]) -> None:
    """Raises `TimeoutError` if the reader takes nothing."""
    async with asyncio.timeout(WRITE_TIMEOUT):
        await written


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"event: {name}\n{lines}\n".encode()
