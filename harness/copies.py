"""Copies topics to the order database, in this process or another, and reads the whole database."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import select

from harness.ports import free_port
from harness.process import LoggedProcess
from harness.worker import environment
from saga_app.commands.copy_lag import lag_by_topic
from saga_app.orderdb import schema
from saga_app.orderdb.copy import source
from saga_app.orderdb.copy.projector import Projector
from saga_app.orderdb.copy.sink import Sink
from saga_app.orderdb.database import Database
from saga_app.orderdb.queries.reading import ask, positions
from saga_app.settings import Settings

#: `saga` with so many records to a batch.
_MAIN = """
from saga_app.orderdb.copy import source
source.MOST_RECORDS = {records}
source._AT_A_TIME = min(source._AT_A_TIME, {records})
from saga_app.commands import main
main()
"""
Rows = list[tuple[Any, ...]]


def copy(settings: Settings, report: Callable[[str], None] = lambda text: None) -> int:
    """Copies to the end, in this process; returns the number of records."""

    async def run() -> int:
        database = Database(settings.db_url)
        try:
            projector = Projector(settings, database, report)
            await projector.run(asyncio.Event(), once=True)
            return projector.records
        finally:
            await database.close()

    return asyncio.run(asyncio.wait_for(run(), 90))


def empty(settings: Settings) -> None:
    """Removes everything."""

    async def run() -> None:
        database = Database(settings.db_url)
        await Sink(database).empty()
        await database.close()

    asyncio.run(run())


def contents(settings: Settings) -> dict[str, Rows]:
    """Every row of every table, and the position of the copy in each partition."""

    async def read(connection: Any) -> dict[str, Rows]:
        found = {}
        for table in (*schema.CONTENT, schema.copied):
            rows = (await connection.execute(select(table))).all()
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
        return found

    return asyncio.run(ask(settings, read))


def rows(settings: Settings, table: Any) -> list[dict[str, Any]]:
    """The rows of one table."""

    async def read(connection: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in (await connection.execute(select(table))).mappings()]

    return asyncio.run(ask(settings, read))


def copied(settings: Settings) -> int:
    """The number of records that are copied, by the positions in the database."""
    return sum(asyncio.run(ask(settings, positions)).values())


class CopyProcess(LoggedProcess):
    """`saga orderdb run` as people start it; ended by its own pid only."""

    def __init__(
        self, settings: Settings, log: Path, *arguments: str, records: int = source.MOST_RECORDS
    ) -> None:
        super().__init__(log)
        self.settings = settings
        self._words = [
            sys.executable,
            "-c",
            _MAIN.format(records=records),
            *(arguments or ("orderdb", "run")),
        ]

    def start(self) -> Self:
        """Starts the process and does not wait."""
        variables = {
            "SAGA_APP_ID": self.settings.app_id,
            "SAGA_DB_URL": self.settings.db_url,
            "SAGA_ORDER_RETENTION": self.settings.order_retention_text,
        }
        nothing = self.log.parent / "nothing"
        return self.run(self._words, environment(self.settings.broker, nothing, free_port(), **variables))


def until_copied(settings: Settings, seconds: float = 60) -> None:
    """Waits until the database has every record of the topics."""
    end = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < end:
        with suppress(Exception):
            last = lag_by_topic(settings)
            if not any(last.values()):
                return
        time.sleep(0.1)
    raise AssertionError(f"not copied within {seconds:.0f} s: {last}")
