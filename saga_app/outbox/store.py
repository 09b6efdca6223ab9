"""The outbox table over one connection: the lock of the relay, batches of rows, and what became of them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, NoSuchTableError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from saga_app.orderdb.database import ANSWER_WITHIN, CONNECT_WITHIN, DatabaseWrong
from saga_app.outbox.payloads import OutboxRow
from saga_app.outbox.table import faults, order_of, outbox_table, statements
from saga_app.secret_values import without_password
from saga_app.wire import LARGEST_FROM_PEOPLE

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
#: Together with the table's number it is the number of the relay's advisory lock.
_LOCK: Final = 0x5A6A << 32
_RIGHTS: Final = ("SELECT", "DELETE", "UPDATE (refused)")
#: The table's number, and if we have each of these rights.
_RIGHTS_OF: Final = text(
    """
    SELECT CAST(oid AS bigint), has_table_privilege(oid, 'SELECT'), has_table_privilege(oid, 'DELETE'),
        has_column_privilege(oid, 'refused', 'UPDATE')
    FROM pg_class WHERE oid = to_regclass(:quoted)
    """
)


class OutboxWrong(DatabaseWrong):
    """A table that cannot be relayed; the message says why and what to do."""


class LockLost(OutboxWrong):
    """The connection does not hold the lock that it took."""


class Backlog(NamedTuple):
    """Rows that wait, with the age of the oldest in seconds, and rows that are refused."""

    waiting: int
    oldest: float
    refused: int


class RefusedRow(NamedTuple):
    """A row that no worker would take, and why; `behind` is the number of rows of the same order that wait for it."""

    id: int
    order_id: str | None
    reason: str
    behind: int


class OutboxStore:
    """One table of one database, over one connection, which `open` makes."""

    def __init__(self, url: str, table: str) -> None:
        self.name = without_password(url)
        self.table_name = table
        self._url = _parsed(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._table = outbox_table(table, is_sqlite=self.is_sqlite)
        self._engine = create_async_engine(self._url, poolclass=NullPool, connect_args=self._connect_args())
        self._connection: AsyncConnection | None = None
        self._lock = 0

    async def open(self) -> None:
        """Connects and looks at the table. Raises `OutboxWrong`; or an error for which `is_down` is true."""
        if self._connection is not None:
            return
        if self.is_sqlite and not Path(self._url.database or "").exists():
            raise OutboxWrong(f"{self.name}: there is no such file; saga outbox --create makes it")
        connection = await self._engine.connect()
        try:
            await connection.run_sync(self._require_table)
            if not self.is_sqlite:
                await self._require_rights(connection)
            await connection.commit()
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    async def create(self) -> None:
        """Makes the table and its index if they are missing."""
        async with self._engine.begin() as connection:
            for statement in statements(self.table_name, is_sqlite=self.is_sqlite):
                await connection.execute(text(statement))

    async def lock(self) -> bool:
        """True if this connection is the one that relays. SQLite has no such lock: there everybody does."""
        if self.is_sqlite:
            return True
        connection = self._connected()
        taken = await connection.scalar(select(func.pg_try_advisory_lock(self._lock)))
        await connection.commit()
        return bool(taken)

    async def batch(self, most: int) -> list[OutboxRow]:
        """The first rows that wait, by id. Raises `LockLost` if a pooler has given the lock to another connection.

        A row that a slow transaction commits behind rows with higher ids is there at the next call: no position is
        kept that it could be below.
        """
        connection = self._connected()
        if not self.is_sqlite and not await connection.scalar(
            select(func.pg_try_advisory_xact_lock(self._lock))
        ):
            raise LockLost(
                f"{self.name}: another connection holds the relay's lock; connect to the server itself, and not to a "
                "pooler that shares connections between transactions"
            )
        rows = self._table
        order_id = order_of(rows, is_sqlite=self.is_sqlite)
        waiting = (
            select(rows.c.id, self._payload(), order_id).where(*self._waits()).order_by(rows.c.id).limit(most)
        )
        found = (await connection.execute(waiting)).all()
        await connection.commit()
        return [OutboxRow(row[0], row[1] or "", row[2]) for row in found]

    async def settle(self, relayed: Sequence[OutboxRow], refused: Mapping[int, str]) -> None:
        """Deletes rows of which the broker has the records, and writes into others why they are refused.

        A row whose payload has changed since it was read stays, and is in the next batch.
        """
        connection = self._connected()
        rows = self._table
        if relayed:
            sent = delete(rows).where(
                rows.c.id == bindparam("row"), self._payload() == bindparam("payload", type_=Text)
            )
            await connection.execute(sent, [{"row": row.id, "payload": row.payload} for row in relayed])
        if refused:
            mark = rows.update().where(rows.c.id == bindparam("row")).values(refused=bindparam("reason"))
            await connection.execute(mark, [{"row": row, "reason": why} for row, why in refused.items()])
        await connection.commit()

    async def backlog(self) -> Backlog:
        """How much waits, by the clock of the database."""
        connection = self._connected()
        rows = self._table
        first = func.min(rows.c.created_at)
        age = (
            (func.julianday("now") - func.julianday(first)) * 86_400
            if self.is_sqlite
            else func.extract("epoch", func.clock_timestamp() - first)
        )
        waiting, oldest = (
            await connection.execute(select(func.count(), age).where(rows.c.refused.is_(None)))
        ).one()
        refused = await connection.scalar(select(func.count()).where(rows.c.refused.is_not(None)))
        await connection.commit()
        return Backlog(waiting, max(0.0, float(oldest or 0)), refused or 0)

    async def refused(self, most: int) -> list[RefusedRow]:
        """The first refused rows, by id."""
        connection = self._connected()
        rows, later = self._table, self._table.alias()
        order_id = order_of(rows, is_sqlite=self.is_sqlite)
        behind = (
            select(func.count())
            .where(
                later.c.refused.is_(None),
                later.c.id > rows.c.id,
                order_of(later, is_sqlite=self.is_sqlite) == order_id,
            )
            .scalar_subquery()
        )
        listed = (
            select(rows.c.id, order_id, rows.c.refused, behind)
            .where(rows.c.refused.is_not(None))
            .order_by(rows.c.id)
            .limit(most)
        )
        found = (await connection.execute(listed)).all()
        await connection.commit()
        return [RefusedRow(*row) for row in found]

    async def close(self) -> None:
        """Gives the connection up, and the lock with it; `open` makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that is broken cannot be closed in order.
            with suppress(Exception):
                await connection.invalidate()
            with suppress(Exception):
                await connection.close()

    def _connected(self) -> AsyncConnection:
        assert self._connection is not None, "open() comes first"
        return self._connection

    def _payload(self) -> ColumnElement[str]:
        """A payload as text, cut behind the most characters that a record may have."""
        return func.substr(cast(self._table.c.payload, Text), 1, LARGEST_FROM_PEOPLE + 1, type_=Text)

    def _waits(self) -> tuple[ColumnElement[bool], ...]:
        """A row waits for the relay unless it is refused, or an earlier row of the same order is."""
        rows, earlier = self._table, self._table.alias()
        behind = exists().where(
            earlier.c.refused.is_not(None),
            earlier.c.id < rows.c.id,
            order_of(earlier, is_sqlite=self.is_sqlite) == order_of(rows, is_sqlite=self.is_sqlite),
        )
        return rows.c.refused.is_(None), ~behind

    def _require_table(self, connection: Connection) -> None:
        table = self._table
        try:
            columns = inspect(connection).get_columns(table.name, table.schema)
        except NoSuchTableError:
            raise OutboxWrong(
                f"{self.name} has no table {self.table_name}; saga outbox --create makes it, "
                "saga outbox --ddl prints the statements for it"
            ) from None
        found = faults({each["name"]: each["type"] for each in columns}, is_sqlite=self.is_sqlite)
        if found:
            raise OutboxWrong(
                f"{self.name}, table {self.table_name}: {'; '.join(found)}; saga outbox --ddl prints the right ones"
            )

    async def _require_rights(self, connection: AsyncConnection) -> None:
        """Sending without being able to delete would send the same records at every start."""
        quoted = self._engine.dialect.identifier_preparer.format_table(self._table)
        number, *allowed = (await connection.execute(_RIGHTS_OF, {"quoted": quoted})).one()
        missing = [right for right, is_given in zip(_RIGHTS, allowed, strict=True) if not is_given]
        if missing:
            raise OutboxWrong(
                f"{self.name}: the user lacks a right; GRANT {', '.join(missing)} ON {self.table_name} TO "
                f"{self._url.username}"
            )
        self._lock = _LOCK | int(number)

    def _connect_args(self) -> dict[str, object]:
        if self.is_sqlite:
            return {"timeout": CONNECT_WITHIN}
        return {
            "timeout": CONNECT_WITHIN,
            "command_timeout": ANSWER_WITHIN,
            "server_settings": {"application_name": "saga outbox"},
        }


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        return parsed.set(drivername=_DRIVERS[parsed.drivername])
    except (ArgumentError, KeyError):
        raise OutboxWrong(
            f"{without_password(url)!r} is no address of a database; it is postgresql://USER:PASSWORD@HOST/NAME or "
            "sqlite:///FILE"
        ) from None
