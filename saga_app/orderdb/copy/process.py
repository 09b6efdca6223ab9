"""The process that copies: until a signal, and then it ends soon, whatever the broker or the database do."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from saga_app.orderdb.copy.progress import Say
from saga_app.orderdb.copy.projector import Follower
from saga_app.orderdb.copy.sink import Sink
from saga_app.orderdb.database import Database, DatabaseWrong
from saga_app.settings import Settings
from saga_app.times import now

if TYPE_CHECKING:
    from saga_app.orderdb.traces.tracer import Tracer

#: Seconds that what is under way has after a signal. What is not written then is rolled back, offsets and all.
STOP_WITHIN = 5.0


def follow(
    settings: Settings, say: Say, *, once: bool = False, empty: bool = False, force: bool = False
) -> int:
    """Copies until SIGTERM or SIGINT, with `once` until the end; with `empty` from the beginning. Records copied.

    Raises `DatabaseWrong`, also where `empty` would remove orders that may have left the topics, unless `force` is set.
    """

    async def run() -> int:
        database = Database(settings.db_url)
        tracer = _tracer(settings, database, say)
        follower = Follower(settings, database, say, tracer)
        tracing = None if tracer is None else asyncio.ensure_future(tracer.run())
        try:
            if empty:
                await database.make()
                await Sink(database).empty(None if force else _left_before(settings))
            await _until_signal(lambda stop: follower.run(stop, once=once))
        finally:
            if tracer is not None and tracing is not None:
                tracing.cancel()
                with suppress(TimeoutError):
                    await asyncio.wait_for(tracer.flush(), STOP_WITHIN)
            with suppress(TimeoutError):
                await asyncio.wait_for(database.close(), STOP_WITHIN)
        return follower.records

    return asyncio.run(run())


def _left_before(settings: Settings) -> int | None:
    """Orders that ended before this moment may have left the tables."""
    age = settings.order_retention
    return None if age is None else now() - age


def _tracer(settings: Settings, database: Database, say: Say) -> "Tracer | None":
    """Who sends traces, if that is asked for; only then its packages are needed."""
    if not (settings.traces or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        return None
    try:
        from saga_app.orderdb.traces.tracer import Tracer
    except ModuleNotFoundError as error:
        raise DatabaseWrong(
            f"traces need the package {error.name}; in the folder of this project: pip install '.[orders,traces]'"
        ) from error
    return Tracer(settings.app_id, settings.traces, database, say)


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
