"""The order database as tests look at it: copied in this process or another, and read whole."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select

from saga_app.orderdb import schema
from saga_app.orderdb.copy import source
from saga_app.orderdb.copy.projector import Follower
from saga_app.orderdb.copy.sink import Sink
from saga_app.orderdb.database import Database
from saga_app.orderdb.queries import lag, orders
from saga_app.orderdb.queries.orders import asked
from saga_app.settings import Settings
from tests.live.worker import ROOT, environment, free_port

#: `saga` with so many records to a batch.
_MAIN = """
from saga_app.orderdb.copy import source
source.MOST_RECORDS = {records}
source._AT_A_TIME = min(source._AT_A_TIME, {records})
from saga_app.commands import main
main()
"""
Rows = list[tuple[Any, ...]]


def copy(settings: Settings, say: Callable[[str], None] = lambda words: None) -> int:
    """Copies to the end, in this process; how many records."""

    async def run() -> int:
        database = Database(settings.db_url)
        try:
            follower = Follower(settings, database, say)
            await follower.run(asyncio.Event(), once=True)
            return follower.records
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
    """Every row of every table, and how far each partition was copied."""

    async def read(connection: Any) -> dict[str, Rows]:
        found = {}
        for table in (*schema.CONTENT, schema.copied):
            rows = (await connection.execute(select(table))).all()
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
        return found

    return asyncio.run(asked(settings, read))


def rows(settings: Settings, table: Any) -> list[dict[str, Any]]:
    """The rows of one table."""

    async def read(connection: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in (await connection.execute(select(table))).mappings()]

    return asyncio.run(asked(settings, read))


def copied(settings: Settings) -> int:
    """How many records the database says it has."""
    return sum(asyncio.run(asked(settings, orders.progress)).values())


class Process:
    """`saga orderdb run` as people start it; ended by its own pid only."""

    def __init__(
        self, settings: Settings, log: Path, *words: str, records: int = source.MOST_RECORDS
    ) -> None:
        self.settings = settings
        self.log = log
        self._words = [sys.executable, "-c", _MAIN.format(records=records), *(words or ("orderdb", "run"))]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Process":
        """Does not wait."""
        given = {
            "SAGA_APP_ID": self.settings.app_id,
            "SAGA_DB_URL": self.settings.db_url,
            "SAGA_ORDER_RETENTION": self.settings.order_retention_text,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words,
                env=environment(self.settings.broker, self.log.parent / "nothing", free_port(), **given),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def text(self) -> str:
        """All that it has said."""
        return self.log.read_text("utf-8", errors="replace")

    def wait_for(self, words: str, seconds: float = 30) -> None:
        """Until it has said this."""
        end = time.monotonic() + seconds
        while words not in self.text():
            assert self.process.poll() is None and time.monotonic() < end, self.text()
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def end(self, seconds: float = 20) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def done(self, seconds: float = 90) -> int:
        """Waits until it ends by itself; the exit code."""
        return self.process.wait(seconds)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def until_copied(settings: Settings, seconds: float = 60) -> None:
    """Until the database has everything that is in the topics."""
    end = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < end:
        with suppress(Exception):
            last = lag.behind(settings, asyncio.run(asked(settings, orders.progress)))
            if not any(last.values()):
                return
        time.sleep(0.1)
    raise AssertionError(f"not copied within {seconds:.0f} s: {last}")
