"""Reads how far the copy is, and when it gave a sign, from the order database."""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from saga_app.health.readings import DatabaseReading
from saga_app.settings import Settings
from saga_app.times import now

if TYPE_CHECKING:
    from saga_app.orderdb.database import Database

#: Seconds for the database's answer.
ANSWER: Final = 2.0


class DatabaseReader:
    """Reads again and again over the same connection. Methods block, and are called from one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # A connection belongs to the loop that made it.
        self._runner: asyncio.Runner | None = None
        self._connected = AsyncExitStack()
        self._database: Database | None = None

    def read(self) -> DatabaseReading:
        """The reading. Raises `DatabaseWrong`, `TimeoutError`, an error of the driver, or `ModuleNotFoundError`."""
        self._runner = self._runner or asyncio.Runner()
        return self._runner.run(self._read())

    def close(self) -> None:
        """Gives up the connection."""
        runner, self._runner = self._runner, None
        if runner is not None:
            with runner:
                runner.run(self._disconnect())

    async def _read(self) -> DatabaseReading:
        try:
            async with asyncio.timeout(ANSWER):
                if self._database is not None:
                    # The connection may have broken since, or the file may be another one: then it connects anew.
                    with suppress(Exception):
                        return await self._ask()
                    await self._disconnect()
                return await self._ask()
        except BaseException:
            await self._disconnect()
            raise

    async def _ask(self) -> DatabaseReading:
        from saga_app.orderdb.queries import reading

        if self._database is None:
            self._database = await self._connected.enter_async_context(reading.open_to_read(self._settings))
        async with self._database.transaction() as connection:
            return DatabaseReading(*await reading.progress(connection, now()))

    async def _disconnect(self) -> None:
        self._database = None
        await self._connected.aclose()
