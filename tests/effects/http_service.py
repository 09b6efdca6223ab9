"""A service that answers as a test says: each request is written down, and takes the next answer from a list."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web


class SeenRequest(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class HttpService:
    """`replies`: what is answered, one after the other; the last one again and again."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.seen: list[SeenRequest] = []
        self.address = ""
        self._end = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["HttpService"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"
        try:
            yield self
        finally:
            self._end.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(SeenRequest(request.method, request.path_qs, headers, await request.read()))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply == "never":
            await self._end.wait()
        if reply == "cut":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b'{"outcome":"done","reference":"r1"')
            assert request.transport is not None
            request.transport.abort()
            return response
        if reply == "gone":
            assert request.transport is not None
            request.transport.abort()
        made: web.StreamResponse = reply() if callable(reply) else web.Response(text=str(reply))
        return made
