"""The process that copies: until a signal, and then it ends soon, whatever the broker or the database do."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from saga_app.orderbook.database import Database
from saga_app.orderbook.follower import Follower
from saga_app.orderbook.progress import Say
from saga_app.orderbook.sink import Sink
from saga_app.settings import Settings

#: Seconds that what is under way has after a signal. What is not written then is rolled back, offsets and all.
STOP_WITHIN = 5.0


def follow(settings: Settings, say: Say, *, once: bool = False, empty: bool = False) -> int:
    """Copies until SIGTERM or SIGINT, with `once` until the end; with `empty` from the beginning. Records copied.

    Raises `DatabaseWrong`.
    """

    async def run() -> int:
        database = Database(settings.db_url)
        follower = Follower(settings, database, say)
        try:
            if empty:
                await database.make()
                await Sink(database).empty()
            await _until_signal(lambda stop: follower.run(stop, once=once))
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(database.close(), STOP_WITHIN)
        return follower.records

    return asyncio.run(run())


async def _until_signal(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    working = asyncio.ensure_future(work(stop))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        await asyncio.wait({working}, timeout=STOP_WITHIN)
    if not working.done():
        working.cancel()
        await asyncio.wait({working}, timeout=STOP_WITHIN)
    if working.done() and not working.cancelled():
        working.result()
