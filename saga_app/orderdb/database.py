"""The connection to the order database: SQLite in a file, or PostgreSQL by address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from saga_app.private_files import private_file, private_folder
from saga_app.secret_values import without_password

#: Seconds until a connection must stand, and until a statement must be answered.
CONNECT_WITHIN: Final = 10.0
ANSWER_WITHIN: Final = 60.0
_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
#: Held while tables are made, so that two processes that start together do it one after the other.
_MAKING: Final = 0x5A6A


class FileId(NamedTuple):
    """The identity of a file: a file that replaces it has another one."""

    device: int
    number: int


class DatabaseWrong(Exception):
    """A database that cannot be used; the message says why and what to do."""


class DatabaseReplaced(DatabaseWrong):
    """The file was deleted or replaced since it was opened: what is open is no longer what the address names."""


class DatabaseEmpty(DatabaseWrong):
    """The database is not there yet, or nothing was copied to it."""


class Database:
    """Transactions on the order database; with `reads` they cannot change it. It connects when it is first used."""

    def __init__(self, url: str, *, reads: bool = False) -> None:
        self.name = without_password(url)
        try:
            parsed = make_url(url)
            self._url = parsed.set(drivername=_DRIVERS[parsed.drivername])
        except (ArgumentError, KeyError) as error:
            raise DatabaseWrong(f"{self.name} is no address of a database: {error}") from None
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._opened: FileId | None = None
        self._engine: AsyncEngine = (_sqlite if self.is_sqlite else _postgresql)(self._url, reads)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None for PostgreSQL."""
        return Path(self._url.database or "") if self.is_sqlite else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction. If the database cannot be reached, it raises an error for which `is_down` is true.

        Raises `DatabaseReplaced` until `reopen` was called.
        """
        self.check_file()
        async with self._engine.begin() as connection:
            if self._opened is None:
                self._opened = self._file_id()
            yield connection

    def check_file(self) -> None:
        """Raises `DatabaseReplaced` if the file is not the one that was opened. It only looks at the folder."""
        if self._opened is not None and (found := self._file_id()) != self._opened:
            what = "was deleted" if found is None else "was replaced by another file"
            raise DatabaseReplaced(f"{self.name} {what} while it was open")

    async def reopen(self) -> None:
        """Gives up the file that was opened; the next transaction opens the one that is there."""
        self._opened = None
        await self._engine.dispose()

    def _file_id(self) -> "FileId | None":
        """The device and number of the file; None if there is none, or for PostgreSQL."""
        try:
            found = None if self.file is None else self.file.stat()
        except FileNotFoundError:
            return None
        return None if found is None else FileId(found.st_dev, found.st_ino)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A transaction in which all statements see the same state of the database, however long it takes."""
        async with self.transaction() as connection:
            if not self.is_sqlite:
                await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            yield connection

    async def make(self) -> None:
        """Makes the tables, or brings them up to date. Raises `DatabaseWrong` if they are newer than this program."""
        if self.file is not None:
            private_folder(self.file.parent)
            # If it cannot be made, SQLite says why.
            with suppress(OSError):
                if self._opened is None and str(self.file) != ":memory:":
                    private_file(self.file)
        try:
            async with self.transaction() as connection:
                if not self.is_sqlite:
                    await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MAKING})"))
                await connection.run_sync(_migrate)
        except CommandError as error:
            raise DatabaseWrong(
                f"{self.name} was made by another version of this program ({error}); "
                "use that one, or another SAGA_DB_URL"
            ) from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._engine.dispose()


def is_down(error: BaseException) -> bool:
    """True if a later attempt may succeed: no answer, a full disk, a lock that another process holds."""
    if isinstance(error, DataError | IntegrityError | ProgrammingError):
        return False
    return isinstance(error, DBAPIError | SQLAlchemyError | OSError)


def in_words(error: BaseException) -> str:
    """The message of the database, without the statement."""
    cause = getattr(error, "orig", None) or error
    return (str(cause) or type(cause).__name__).splitlines()[0]


def _sqlite(url: URL, reads: bool) -> AsyncEngine:
    # Readers do not wait for the writer. After a power failure the last batches may be missing, and with them their
    # offsets: they are copied again.
    pragmas = ("query_only=1",) if reads else ("journal_mode=WAL", "synchronous=NORMAL")
    # A transaction that reads first and writes later could not be carried through beside another one.
    begin = "BEGIN" if reads else "BEGIN IMMEDIATE"

    def connected(connection: Any, record: Any) -> None:
        # The driver would begin transactions by itself, too late, and end them for DDL.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    engine = create_async_engine(url, connect_args={"timeout": CONNECT_WITHIN})
    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _postgresql(url: URL, reads: bool) -> AsyncEngine:
    return create_async_engine(
        url,
        connect_args={"timeout": CONNECT_WITHIN, "command_timeout": ANSWER_WITHIN},
        execution_options={"postgresql_readonly": reads},
    )


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "saga_app.orderdb:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
