"""Queries for all rows of a table, page by page."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.orderdb.queries.orders import Listed
from saga_app.orderdb.schema import orders

#: Rows that are read at once.
PAGE: Final = 1_000


async def pages(
    connection: AsyncConnection, table: Table, condition: ColumnElement[bool]
) -> AsyncIterator[list[Listed]]:
    """All rows that fit the condition, in the order of their keys."""
    columns = list(table.primary_key.columns)
    query = rest = select(table).where(condition).order_by(*columns).limit(PAGE)
    while page := (await connection.execute(rest)).mappings().all():
        yield [dict(row) for row in page]
        rest = query.where(tuple_(*columns) > tuple_(*key_of(table, page[-1])))


def key_of(table: Table, row: Mapping[Any, Any]) -> tuple[Any, ...]:
    """The primary key of a row."""
    return tuple(row[column.name] for column in table.primary_key.columns)


async def placements(connection: AsyncConnection, order_ids: Collection[str]) -> dict[str, tuple[int, int]]:
    """By order, the checkout partition and the offset of the record that placed it."""
    query = select(orders.c.order_id, orders.c.partition, orders.c.placed_offset)
    rows = await connection.execute(query.where(orders.c.order_id.in_(order_ids)))
    return {row.order_id: (row.partition, row.placed_offset) for row in rows}
