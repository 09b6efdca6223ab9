"""Live pages: a part of a page, sent again by server-sent events whenever it has changed."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from aiohttp import web

#: Streams at the same time; more are asked to come back later.
MOST: Final = 32
#: Seconds from one look to the next, and until a word is said though nothing has changed.
LOOK_EVERY: Final = 1.0
STILL_HERE: Final = 15.0
#: Seconds within which a stream notices that the worker stops or the reader has gone.
NOTICE: Final = 0.25
#: Seconds for which a reader may take nothing (its machine sleeps, say) before the stream ends.
TAKES: Final = 5.0
#: A look that took long is good for so many times as long, so that looking never takes more than this part of the time.
REST: Final = 5


class Shown:
    """What the streams that show the same have looked up last, and how many they are."""

    def __init__(self, look: Callable[[], Awaitable[str]]) -> None:
        self.readers = 0
        self._look = look
        self._looking = asyncio.Lock()
        self._text = ""
        self._fresh_until = 0.0

    async def text(self) -> str:
        """What was seen just now, or a new look."""
        async with self._looking:
            if monotonic() >= self._fresh_until:
                began = monotonic()
                self._text = await self._look()
                took = monotonic() - began
                self._fresh_until = began + max(LOOK_EVERY * 0.9, took * REST)
            return self._text


class Live:
    """The open streams of one worker."""

    def __init__(self, stops: Callable[[], bool]) -> None:
        self._stops = stops
        self.open = 0
        self.shown: dict[str, Shown] = {}

    async def stream(
        self, request: web.Request, what: str, look: Callable[[], Awaitable[str]]
    ) -> web.StreamResponse:
        """Sends what `look` gives, until the reader goes or the worker stops."""
        if self.open >= MOST or self._stops():
            return web.Response(status=503, headers={"Retry-After": "10"}, text="too many live pages\n")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        shown = self.shown.setdefault(what, Shown(look))
        self.open += 1
        shown.readers += 1
        try:
            await response.prepare(request)
            await _taken(response.write(b"retry: 2000\n\n"))
            await self._send(request, response, shown)
            await _taken(response.write_eof())
        except ConnectionError:
            pass
        except TimeoutError:
            # What it has not taken would be waited for when the worker ends.
            if request.transport is not None:
                request.transport.abort()
        finally:
            self.open -= 1
            shown.readers -= 1
            if not shown.readers:
                del self.shown[what]
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, shown: Shown) -> None:
        last, said = None, monotonic()
        while not self._ends(request):
            text = await shown.text()
            if text != last:
                await _taken(response.write(_event(text)))
                last, said = text, monotonic()
            elif monotonic() - said > STILL_HERE:
                await _taken(response.write(b": still here\n\n"))
                said = monotonic()
            until = monotonic() + LOOK_EVERY
            while monotonic() < until and not self._ends(request):
                await asyncio.sleep(NOTICE)

    def _ends(self, request: web.Request) -> bool:
        """Whether the worker stops or the reader has gone."""
        return self._stops() or request.transport is None


async def _taken(written: Awaitable[None]) -> None:
    """`TimeoutError` if the reader takes nothing."""
    async with asyncio.timeout(TAKES):
        await written


def _event(text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"{lines}\n".encode()
