"""A line that can be slow, cut or torn: a TCP proxy between one worker and the broker, in a thread of its own."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self

from saga_app.local.config import HOST


class Proxy:
    """Listens on one port and forwards to another."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self._delay = 0.0
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._passing.set()
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> Self:
        """Listens from now on."""
        self._thread.start()
        self._do(self._listen())
        return self

    def delay(self, seconds: float) -> None:
        """From now on every piece takes so much longer, in each direction."""
        self._delay = seconds

    def cut(self) -> None:
        """Holds all bytes back and closes no connection; they arrive after `heal`."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def tear(self) -> None:
        """Resets every connection; new ones are accepted."""
        self._loop.call_soon_threadsafe(self._tear)

    def heal(self) -> None:
        """As if nothing had been."""
        self._delay = 0.0
        self._loop.call_soon_threadsafe(self._passing.set)

    def close(self) -> None:
        """Gives up everything."""
        if self._thread.is_alive():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def _end(self) -> None:
        self._server.close()
        self._tear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tear(self) -> None:
        for line in self._lines:
            line.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            line.transport.abort()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            broker, to_broker = await asyncio.open_connection(HOST, self.target)
        except OSError:
            to_client.transport.abort()
            return
        for source, sink in ((client, to_broker), (broker, to_client)):
            self._lines.add(sink)
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65_536):
                await asyncio.sleep(self._delay)
                await self._passing.wait()
                sink.write(piece)
                await sink.drain()
        self._lines.discard(sink)
        sink.close()
