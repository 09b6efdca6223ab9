"""Live pages: the server sends a part of a page again, as a server-sent event, when it has changed."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from aiohttp import web

#: Streams at the same time; a further one gets a 503.
MOST_STREAMS: Final = 32
#: Seconds from one rendering to the next, and from one event to a comment that keeps the connection open.
RENDER_EVERY: Final = 1.0
KEEP_ALIVE: Final = 15.0
#: Seconds in which a stream notices that the worker stops or the reader has gone.
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
    """The open streams of one worker."""

    def __init__(self, stops: Callable[[], bool]) -> None:
        self._stops = stops
        self.open = 0
        self.parts: dict[str, SharedPart] = {}

    async def stream(
        self, request: web.Request, path: str, render: Callable[[], Awaitable[str]]
    ) -> web.StreamResponse:
        """Sends the part at this path until the reader goes or the worker stops."""
        if self.open >= MOST_STREAMS or self._stops():
            return web.Response(status=503, headers={"Retry-After": "10"}, text="too many live pages\n")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        part = self.parts.setdefault(path, SharedPart(render))
        self.open += 1
        part.readers += 1
        try:
            await response.prepare(request)
            await _in_time(response.write(b"retry: 2000\n\n"))
            await self._send(request, response, part)
            await _in_time(response.write_eof())
        except ConnectionError:
            pass
        except TimeoutError:
            # aiohttp would wait for the unsent bytes when the worker ends.
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.open -= 1
            part.readers -= 1
            if not part.readers:
                del self.parts[path]
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, part: SharedPart) -> None:
        last, said = None, monotonic()
        while not self._ends(request):
            text = await part.text()
            if text != last:
                await _in_time(response.write(_event(text)))
                last, said = text, monotonic()
            elif monotonic() - said > KEEP_ALIVE:
                await _in_time(response.write(b": still here\n\n"))
                said = monotonic()
            until = monotonic() + RENDER_EVERY
            while monotonic() < until and not self._ends(request):
                await asyncio.sleep(POLL_INTERVAL)

    def _ends(self, request: web.Request) -> bool:
        """True if the worker stops or the reader has gone."""
        return self._stops() or request.transport is None


async def _in_time(written: Awaitable[None]) -> None:
    """Raises `TimeoutError` if the reader takes nothing."""
    async with asyncio.timeout(WRITE_TIMEOUT):
        await written


def _event(text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"{lines}\n".encode()
