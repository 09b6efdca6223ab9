"""The order database as pages read it: opened with the first question, asked by a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.orderdb.database import Database, DatabaseWrong
from saga_app.orderdb.queries import reading
from saga_app.settings import Settings

#: Questions at the same time, and seconds that one may take.
AT_A_TIME: Final = 4
WITHIN: Final = 10.0
Answer = TypeVar("Answer")


class Book:
    """Raises what `lists.reading` raises; the next question tries again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._room = asyncio.Semaphore(AT_A_TIME)
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._database: Database | None = None

    async def ask(self, question: Callable[[AsyncConnection], Awaitable[Answer]]) -> Answer:
        """One question in a transaction that can change nothing; `DatabaseWrong` if it takes too long."""
        try:
            async with asyncio.timeout(WITHIN), self._room:
                database = await self._open()
                async with database.transaction() as connection:
                    return await question(connection)
        except TimeoutError:
            raise DatabaseWrong(
                f"it has not answered within {WITHIN:.0f} s; ask for less, or look at its server"
            ) from None

    async def close(self) -> None:
        """Gives up the connections."""
        await self._stack.aclose()
        self._database = None

    async def _open(self) -> Database:
        async with self._opening:
            if self._database is not None and (self._database.file is None or self._database.file.exists()):
                return self._database
            await self.close()
            self._database = await self._stack.enter_async_context(reading.open_to_read(self._settings))
            return self._database
