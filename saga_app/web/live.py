"""Live pages: a part of a page, sent again by server-sent events whenever it has changed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

#: Streams at the same time; more are asked to come back later.
MOST: Final = 32
#: Seconds from one look to the next, and until a word is said though nothing has changed.
LOOK_EVERY: Final = 1.0
STILL_HERE: Final = 15.0
#: Seconds within which a stream notices that the worker stops.
NOTICE: Final = 0.25


class Live:
    """The open streams of one worker. Those that show the same share what was looked up."""

    def __init__(self, stops: Callable[[], bool]) -> None:
        self._stops = stops
        self._open = 0
        self._seen: dict[str, tuple[float, str]] = {}
        self._looking: dict[str, asyncio.Lock] = {}

    async def stream(
        self, request: web.Request, what: str, look: Callable[[], Awaitable[str]]
    ) -> web.StreamResponse:
        """Sends what `look` gives, until the reader goes or the worker stops."""
        if self._open >= MOST or self._stops():
            return web.Response(status=503, headers={"Retry-After": "10"}, text="too many live pages\n")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        self._open += 1
        try:
            await response.prepare(request)
            await response.write(b"retry: 2000\n\n")
            await self._send(response, what, look)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open -= 1
            if not self._open:
                self._seen.clear()
                self._looking.clear()
        return response

    async def _send(
        self, response: web.StreamResponse, what: str, look: Callable[[], Awaitable[str]]
    ) -> None:
        loop = asyncio.get_running_loop()
        last, said = None, loop.time()
        while not self._stops():
            text = await self._look(what, look)
            if text != last:
                await response.write(_event(text))
                last, said = text, loop.time()
            elif loop.time() - said > STILL_HERE:
                await response.write(b": still here\n\n")
                said = loop.time()
            until = loop.time() + LOOK_EVERY
            while loop.time() < until and not self._stops():
                await asyncio.sleep(NOTICE)

    async def _look(self, what: str, look: Callable[[], Awaitable[str]]) -> str:
        """What was seen less than a look ago, or a new look."""
        loop = asyncio.get_running_loop()
        async with self._looking.setdefault(what, asyncio.Lock()):
            at, text = self._seen.get(what, (-LOOK_EVERY, ""))
            if loop.time() - at >= LOOK_EVERY * 0.9:
                text = await look()
                self._seen[what] = (loop.time(), text)
            return text


def _event(text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"{lines}\n".encode()
