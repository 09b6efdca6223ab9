"""The shop's side of an outbox, and `saga outbox` as a process beside it."""

import asyncio
import json
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from harness.orders import Sent
from harness.ports import free_port
from harness.process import LoggedProcess
from harness.worker import environment
from saga_app.outbox.store import OutboxStore
from saga_app.outbox.table import DEFAULT_TABLE

TABLE = DEFAULT_TABLE
#: Transactions that a busy shop has open at a time.
CLERKS = 6
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


class BusyShop:
    """A shop under load: in its own thread, some clerks place orders and cancel some of them.

    A clerk commits each step of an order before the next one, and now and then leaves a transaction open for a moment,
    so that ids are committed out of their sequence, or takes it back. Seconds of `pause` are between two orders.
    """

    def __init__(self, shop: ShopDatabase, given: Iterator[Sent], pause: float = 0) -> None:
        #: Orders whose row is committed, and those of them whose cancellation is.
        self.placed: set[str] = set()
        self.cancelled: set[str] = set()
        self._shop = shop
        self._orders = given
        self._pause = pause
        self._is_closing = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._sell()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Returns when every clerk has finished the order at hand."""
        self._is_closing = True
        if self._thread.is_alive():
            self._thread.join(60)
            assert not self._thread.is_alive(), "a clerk of the shop does not come back from the database"

    async def _sell(self) -> None:
        await asyncio.gather(*(self._clerk(number) for number in range(CLERKS)))

    async def _clerk(self, number: int) -> None:
        chance = random.Random(number)
        async with self._shop.engine.connect() as connection:
            for order in self._orders:
                if self._is_closing:
                    return
                await insert(connection, order)
                await asyncio.sleep(chance.choice((0, 0, 0.01, 0.05)))
                if chance.random() < 0.05:
                    await connection.rollback()
                    continue
                await connection.commit()
                self.placed.add(order["order_id"])
                if chance.random() < 0.2:
                    await insert(connection, {"type": "CancellationRequested", "order_id": order["order_id"]})
                    await connection.commit()
                    self.cancelled.add(order["order_id"])
                await asyncio.sleep(self._pause)


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
