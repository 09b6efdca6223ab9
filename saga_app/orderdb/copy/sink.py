"""Writes batches: rows and offsets in one transaction, and never over the work of another process.

`source.batches` counts the batches. Every transaction raises it by one, and only from the number that its writer has
seen last. So two processes may copy into one database, or one may empty it while another writes: the second writer
finds another number, writes nothing, and reads the offsets anew.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import topics
from saga_app.core.numbers import NEVER
from saga_app.kafka.messages import Place
from saga_app.orderdb import schema
from saga_app.orderdb.copy import minutes
from saga_app.orderdb.copy.batch import RowBatch
from saga_app.orderdb.copy.source_topics import SourceTopics
from saga_app.orderdb.copy.table_rows import SERVICES, TABLES
from saga_app.orderdb.copy.upserts import Postgresql, Sqlite
from saga_app.orderdb.database import Database, DatabaseWrong


class CopyPosition(NamedTuple):
    """The next offset of each partition after so many batches; `renewed` names the topics that were made anew.

    `emptied` is true if everything was removed for that.
    """

    batches: int
    next: dict[Place, int]
    renewed: list[str]
    emptied: bool = False


class Overtaken(Exception):
    """Another process has written to the database since this one last did."""


class Sink:
    """The writing side of the order database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = Sqlite() if database.is_sqlite else Postgresql()

    async def begin(self, source: SourceTopics) -> CopyPosition:
        """The position of the copy. Topics that were made anew since are copied from their beginning.

        If they are changelogs, their rows stay and any row of the new topics replaces them: the database may be the
        only place that has evicted orders. Otherwise everything is removed, since offsets name other records now.
        Raises `DatabaseWrong` if the database is a copy of another application or cluster.
        """
        async with self._database.transaction() as connection:
            batches, known = await _locked(connection)
            own = (source.app_id, source.cluster_id)
            if known not in (own, (None, None)):
                raise DatabaseWrong(
                    f"{self._database.name} is a copy of {known[0]!r} on cluster {known[1]}, not of {own[0]!r} on "
                    f"{own[1]}; use another SAGA_DB_URL, or `saga orderdb rebuild`, which empties it"
                )
            rows = (await connection.execute(select(schema.copied))).all()
            renewed = sorted({row.topic for row in rows if source.topic_ids.get(row.topic) != row.topic_id})
            tables = {topics.changelog(source.app_id, name): name for name in TABLES}
            emptied = not tables.keys() >= set(renewed)
            if emptied:
                await self._remove_all(connection)
                rows = []
            for topic in () if emptied else renewed:
                await _make_old(connection, tables[topic])
                await connection.execute(delete(schema.copied).where(schema.copied.c.topic == topic))
            if renewed or known != own:
                batches += 1
                await _write_source(connection, batches, *own)
            reached = {
                (row.topic, row.partition): row.next_offset for row in rows if row.topic not in renewed
            }
            return CopyPosition(batches, reached, renewed, emptied)

    async def write(
        self, batch: RowBatch, reached: Mapping[Place, int], source: SourceTopics, batches: int
    ) -> int:
        """Writes one batch, all or nothing; returns the new number of batches. Raises `Overtaken`."""
        async with self._database.transaction() as connection:
            counted = update(schema.source).where(schema.source.c.batches == batches)
            if (await connection.execute(counted.values(batches=batches + 1))).rowcount != 1:
                raise Overtaken
            placed = sorted(batch.placed)
            if placed:
                # The minutes that they leave, if their time was not known before.
                await self._statements.mark(connection, placed)
            for table, rows in batch.tables.items():
                if rows:
                    await self._statements.put(connection, table, _in_order(rows))
            if placed:
                await self._statements.date(connection, placed)
                await self._statements.mark(connection, placed)
            await self._statements.put(connection, schema.copied, _progress(reached, source))
        return batches + 1

    async def count(self) -> bool:
        """Counts orders by minute, as far as that is quick; True if some minutes are left. See `copy.minutes`."""
        async with self._database.transaction() as connection:
            await _locked(connection)
            return await minutes.count(connection)

    async def take(self, offsets: Mapping[int, int]) -> None:
        """Writes how far workers have taken each partition of checkout's inbox."""
        rows = [{"partition": each, "next_offset": offset} for each, offset in sorted(offsets.items())]
        async with self._database.transaction() as connection:
            await self._statements.put(connection, schema.taken, rows)

    async def empty(self, archived_before: int | None = None) -> None:
        """Removes everything, and forgets which application and cluster were copied.

        Raises `DatabaseWrong` if orders ended before the moment `archived_before` (milliseconds since 1970): the
        database may be the only place that has their rows.
        """
        async with self._database.transaction() as connection:
            batches, _ = await _locked(connection)
            archived = 0 if archived_before is None else await _ended(connection, archived_before)
            if archived:
                raise DatabaseWrong(
                    f"{self._database.name}: {archived} of its orders ended longer ago than SAGA_ORDER_RETENTION, so "
                    "their rows may be nowhere else; make a copy of it, then: saga orderdb rebuild --force"
                )
            await self._remove_all(connection)
            await _write_source(connection, batches + 1, None, None)

    async def _remove_all(self, connection: AsyncConnection) -> None:
        tables = (
            schema.copied,
            schema.taken,
            schema.order_minutes,
            schema.changed_minutes,
            *schema.CONTENT,
        )
        if self._database.is_sqlite:
            for table in tables:
                await connection.execute(delete(table))
        else:
            # Deleting millions of rows one by one takes minutes.
            await connection.execute(text(f"TRUNCATE {', '.join(table.name for table in tables)}"))


async def _make_old(connection: AsyncConnection, name: str) -> None:
    """Gives the rows of a changelog a version that every other row replaces."""
    if name in SERVICES:
        steps = schema.order_steps
        await connection.execute(update(steps).where(steps.c.service == SERVICES[name]).values(version=NEVER))
        # Of the deposits or of the deliveries; those of the other journal are the same after a repeat.
        await connection.execute(update(schema.supplies).values(version=NEVER))
    else:
        await connection.execute(update(schema.metadata.tables[name]).values(version=NEVER))


async def _ended(connection: AsyncConnection, before: int) -> int:
    """The number of orders that ended before this moment."""
    counted = select(func.count()).where(schema.orders.c.ended_at < before)
    return await connection.scalar(counted) or 0


async def _locked(connection: AsyncConnection) -> tuple[int, tuple[str | None, str | None]]:
    """The number of batches, and the application and cluster; no other process writes until the transaction ends."""
    row = (await connection.execute(select(schema.source).with_for_update())).one()
    return row.batches, (row.app_id, row.cluster_id)


async def _write_source(
    connection: AsyncConnection, batches: int, app_id: str | None, cluster_id: str | None
) -> None:
    values = {"batches": batches, "app_id": app_id, "cluster_id": cluster_id}
    await connection.execute(update(schema.source).values(values))


def _in_order(rows: Mapping[Any, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in the order of their keys: a B-tree takes them fastest so."""
    return [rows[key] for key in sorted(rows)]


def _progress(reached: Mapping[Place, int], source: SourceTopics) -> list[dict[str, Any]]:
    return [
        {"topic": topic, "partition": partition, "topic_id": source.topic_ids[topic], "next_offset": offset}
        for (topic, partition), offset in sorted(reached.items())
    ]
