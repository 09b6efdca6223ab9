"""The process of `saga outbox`: relays until a signal, or does one thing with the table."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from saga_app.orderdb.database import in_words, is_down
from saga_app.outbox.publisher import OutboxPublisher
from saga_app.outbox.relay import Relay
from saga_app.outbox.store import Backlog, OutboxStore, OutboxWrong, RefusedRow
from saga_app.settings import Settings
from saga_app.signals import until_signal

Result = TypeVar("Result")
Report = Callable[[str], None]


def relay(settings: Settings, url: str, table: str, report: Report, *, once: bool = False) -> Relay:
    """Relays until SIGTERM or SIGINT, or with `once` until nothing waits.

    Raises `OutboxWrong` also if the database does not answer at the start: then its address is most often wrong.
    """

    async def run(store: OutboxStore) -> Relay:
        await store.open()
        publisher = OutboxPublisher(settings, report)
        relay = Relay(store, publisher, report)
        try:
            await until_signal(lambda stop: relay.run(stop, once=once))
        finally:
            publisher.close()
        return relay

    return _with(url, table, run)


def create(url: str, table: str) -> None:
    """Makes the table and its index if they are missing."""
    _with(url, table, OutboxStore.create)


def look(url: str, table: str, most: int) -> tuple[Backlog, list[RefusedRow]]:
    """How much waits, and the first refused rows."""

    async def run(store: OutboxStore) -> tuple[Backlog, list[RefusedRow]]:
        await store.open()
        return await store.backlog(), await store.refused(most)

    return _with(url, table, run)


def _with(url: str, table: str, work: Callable[[OutboxStore], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        store = OutboxStore(url, table)
        try:
            return await work(store)
        except Exception as error:
            if is_down(error):
                raise OutboxWrong(
                    f"{store.name} does not answer: {in_words(error)}; are address, user and password right?"
                ) from error
            if isinstance(error, SQLAlchemyError):
                raise OutboxWrong(f"{store.name}: {in_words(error)}") from error
            raise
        finally:
            await store.close()

    return asyncio.run(run())
