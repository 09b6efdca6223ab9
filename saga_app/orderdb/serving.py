"""The order database for web servers: opened by the first query, with a limit on queries at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.orderdb.database import Database, DatabaseReplaced, DatabaseWrong
from saga_app.orderdb.queries import reading
from saga_app.settings import Settings

#: Queries at the same time, and seconds that a query may take.
MOST_QUERIES: Final = 4
QUERY_TIMEOUT: Final = 10.0
Rows = TypeVar("Rows")


class OrderDatabase:
    """Reads only. If it cannot be opened, the query raises as `orders.reading` does, and the next one tries again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(MOST_QUERIES)
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._database: Database | None = None

    async def query(self, run: Callable[[AsyncConnection], Awaitable[Rows]]) -> Rows:
        """Runs a query in a transaction that can change nothing; `DatabaseWrong` if it takes too long."""
        try:
            async with asyncio.timeout(QUERY_TIMEOUT), self._slots:
                database = await self._open()
                async with database.transaction() as connection:
                    return await run(connection)
        except TimeoutError:
            raise DatabaseWrong(
                f"it has not answered within {QUERY_TIMEOUT:.0f} s; ask for less, or look at its server"
            ) from None

    async def close(self) -> None:
        """Closes the connections."""
        await self._stack.aclose()
        self._database = None

    async def _open(self) -> Database:
        async with self._opening:
            if self._database is not None:
                try:
                    self._database.check_file()
                    return self._database
                except DatabaseReplaced:
                    await self.close()
            self._database = await self._stack.enter_async_context(reading.open_to_read(self._settings))
            return self._database
