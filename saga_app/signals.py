"""Work that goes on until SIGTERM or SIGINT."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

#: Seconds that work has after the signal, such as a transaction with its offsets; then it is cancelled.
STOP_WITHIN = 5.0


async def until_signal(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
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
