"""The shop's side of an outbox, and `saga outbox` as a process beside it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from harness.ports import free_port
from harness.process import LoggedProcess
from harness.worker import environment
from saga_app.outbox.store import OutboxStore
from saga_app.outbox.table import DEFAULT_TABLE

TABLE = DEFAULT_TABLE
Result = TypeVar("Result")
_MAIN = """
import os
{before}
from saga_app.commands import main
main()
"""


def driven(url: str) -> str:
    """The address with a driver that is installed."""
    return url.replace("postgresql://", "postgresql+asyncpg://").replace("sqlite://", "sqlite+aiosqlite://")


class ShopDatabase:
    """One shop; every call is a transaction of its own, unless it gets a connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._runner = asyncio.Runner()
        self.engine = create_async_engine(driven(url), poolclass=NullPool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()

    def run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        async def do() -> Result:
            return await work()

        return self._runner.run(do())

    def write(self, *payloads: dict[str, Any] | str) -> None:
        """Inserts rows, in one transaction."""

        async def work() -> None:
            async with self.engine.begin() as connection:
                for payload in payloads:
                    await insert(connection, payload)

        self.run(work)

    def execute(self, statement: str, **values: Any) -> Sequence[Any]:
        """The rows of one statement."""

        async def work() -> Sequence[Any]:
            async with self.engine.begin() as connection:
                found = await connection.execute(text(statement), values)
                return found.all() if found.returns_rows else []

        return self.run(work)

    def ids(self, where: str = "1 = 1") -> list[int]:
        """The ids of the rows that are there."""
        return [row[0] for row in self.execute(f"SELECT id FROM {TABLE} WHERE {where} ORDER BY id")]

    def with_store(self, work: Callable[[OutboxStore], Awaitable[Result]], url: str | None = None) -> Result:
        """Something with an open store that holds the lock."""

        async def do() -> Result:
            store = OutboxStore(url or self.url, TABLE)
            try:
                await store.open()
                assert await store.lock()
                return await work(store)
            finally:
                await store.close()

        return self.run(do)


async def insert(connection: AsyncConnection, payload: dict[str, Any] | str) -> None:
    """One row, as a shop writes it."""
    value = payload if isinstance(payload, str) else json.dumps(payload)
    kind = "TEXT" if connection.dialect.name == "sqlite" else "JSONB"
    statement = text(f"INSERT INTO {TABLE} (payload) VALUES (CAST(CAST(:payload AS TEXT) AS {kind}))")
    await connection.execute(statement, {"payload": value})


class RelayProcess(LoggedProcess):
    """`saga outbox` as people start it; ended by its own pid only."""

    def __init__(self, broker: str, url: str, log: Path, *words: str, **settings: str) -> None:
        super().__init__(log)
        self._words = ["outbox", *words]
        self._env = environment(broker, log.parent / "nothing", free_port(), SAGA_OUTBOX_URL=url, **settings)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self, before: str = "") -> Self:
        """Starts the process and does not wait; `before` is Python that it runs first."""
        return self.run([sys.executable, "-c", _MAIN.format(before=before), *self._words], self._env)
