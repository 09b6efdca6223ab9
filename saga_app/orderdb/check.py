"""Compares the order database with the changelogs of the tables, row by row, while workers and the copy go on.

For each changelog it opens a snapshot of the database, which has the position of the copy in every partition. The rows
of the snapshot must be exactly those that the records below these positions give; see `expected_rows`. A key with a
record above the position is counted as behind. The database is read in pages, so memory is bounded.

It does not compare `orders.placed_at`, which is the time of a record in an inbox, nor the rows of events, prices,
supplies and dead letters.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import ColumnElement, true
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import topics
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Place
from saga_app.orderdb import schema
from saga_app.orderdb.copy.source_topics import SourceAdmin, SourceTopics
from saga_app.orderdb.copy.table_rows import SERVICES, TABLES
from saga_app.orderdb.database import Database, DatabaseWrong
from saga_app.orderdb.differences import TableComparison
from saga_app.orderdb.expected_rows import ExpectedRows
from saga_app.orderdb.queries.orders import Listed
from saga_app.orderdb.queries.reading import must_be_copy_of, open_to_read, positions
from saga_app.orderdb.queries.rows import key_of, pages, placements
from saga_app.settings import Settings


def check(settings: Settings, most: int = 10) -> list[TableComparison]:
    """Compares every table; keeps the first `most` differences of each.

    Raises `DatabaseEmpty`, `DatabaseWrong` if the database is a copy of other topics, `TopicsMissing`,
    `KafkaException`, and `TimeoutError` if the broker does not answer for long.
    """

    async def run() -> list[TableComparison]:
        with tempfile.TemporaryDirectory(prefix="saga-orderdb-check-") as folder:
            async with open_to_read(settings) as database:
                return await _Check(settings, database, Path(folder), most).run()

    return asyncio.run(run())


class _Check:
    """One check of a database; scratch stores are in `folder`."""

    def __init__(self, settings: Settings, database: Database, folder: Path, most: int) -> None:
        self._settings = settings
        self._database = database
        self._folder = folder
        self._most = most
        self._memory = Memory()
        self._admin = SourceAdmin(settings)
        #: By checkout partition; the changelog of `orders`, which is the first one, has it.
        self._segment_width: dict[int, int] = {}

    async def run(self) -> list[TableComparison]:
        source = await asyncio.to_thread(self._admin.topics)
        found: list[TableComparison] = []
        for name in TABLES:
            store = RocksStore(self._folder / name, self._memory)
            try:
                async with self._database.snapshot() as connection:
                    await must_be_copy_of(self._database, connection, source)
                    expected = await self._expected(connection, name, source, store)
                    found += [
                        await self._compare(connection, expected, comparison, condition)
                        for comparison, condition in self._comparisons(name)
                    ]
            finally:
                store.close()
            found[-1].unreadable = expected.unreadable
        return found

    def _comparisons(self, name: str) -> Iterator[tuple[TableComparison, ColumnElement[bool]]]:
        """The tables of the database that a changelog fills, and a condition for its rows."""
        if name in SERVICES:
            steps, service = schema.order_steps, SERVICES[name]
            yield TableComparison(steps, f"{steps.name} {service}", self._most), steps.c.service == service
            return
        table = schema.metadata.tables[name]
        if table is schema.orders:
            lines = schema.order_lines
            yield TableComparison(lines, lines.name, self._most), true()
        yield TableComparison(table, table.name, self._most), true()

    async def _expected(
        self, connection: AsyncConnection, name: str, source: SourceTopics, store: RocksStore
    ) -> ExpectedRows:
        expected = ExpectedRows(name, TABLES[name], store)
        topic = topics.changelog(self._settings.app_id, name)
        places = [place for place in source.places if place[0] == topic]
        copied = await positions(connection)
        await asyncio.to_thread(self._read, expected, places, copied)
        self._segment_width.update(expected.segment_width)
        return expected

    def _read(self, expected: ExpectedRows, places: list[Place], copied: Mapping[Place, int]) -> None:
        # Asked after the positions are known, so none is above its end.
        ends = self._admin.ends(places)
        for place in places:
            position = copied.get(place, 0)
            if position > ends[place]:
                raise DatabaseWrong(
                    f"{place[0]}[{place[1]}] ends at {ends[place]}, but {position} was copied: its records were lost; "
                    "copy what is there: saga orderdb rebuild"
                )
            for chunk in chunks(self._settings.kafka, *place, 0, ends[place], "read_committed"):
                expected.add(place, chunk, position)

    async def _compare(
        self,
        connection: AsyncConnection,
        expected: ExpectedRows,
        comparison: TableComparison,
        condition: ColumnElement[bool],
    ) -> TableComparison:
        table = comparison.table
        async for page in pages(connection, table, condition):
            unexpected = []
            for row in page:
                key = key_of(table, row)
                known = expected.get(table, key)
                if known is None:
                    unexpected.append(row)
                else:
                    comparison.compare(key, row, known)
            evicted = await self._evicted(connection, expected, unexpected)
            for row in unexpected:
                comparison.unexpected(key_of(table, row), evicted=row.get("order_id") in evicted)
            expected.forget(table, [key_of(table, row) for row in page])
        for key, known in expected.rest(table):
            comparison.missing(key, known)
        return comparison

    async def _evicted(
        self, connection: AsyncConnection, expected: ExpectedRows, rows: list[Listed]
    ) -> set[str]:
        """The orders of these rows that were evicted. Accounts and stock are never evicted."""
        order_ids = {row["order_id"] for row in rows if "order_id" in row}
        if not order_ids:
            return set()
        placed = await placements(connection, order_ids)
        return {
            order_id
            for order_id in order_ids
            if expected.is_evicted(order_id, self._segment(placed.get(order_id)))
        }

    def _segment(self, placed: tuple[int, int] | None) -> tuple[int, int] | None:
        """The checkout partition and the segment of an order; None if they are not known."""
        if placed is None or (width := self._segment_width.get(placed[0])) is None:
            return None
        return placed[0], placed[1] // width
