"""Upserts of many rows in one statement. A guard on each row: a repeat or an older row changes nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, String, Table, Text, any_, bindparam, func, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import topics
from saga_app.orderdb import schema
from saga_app.orderdb.copy.minutes import minutes_of

Guard = Callable[[Any, Any], ColumnElement[bool]]
Fields = Mapping[str, Any]
#: The condition under which a row replaces the stored one; tables without a guard keep the stored row.
_GUARDS: Final[Mapping[Table, Guard]] = {
    **dict.fromkeys(
        (schema.orders, schema.order_steps, schema.stock, schema.accounts, schema.supplies),
        lambda new, old: new.version > old.version,
    ),
    schema.dead_letters: lambda new, old: new.time < old.time,
    schema.copied: lambda new, old: true(),
    schema.taken: lambda new, old: true(),
}
#: An order's row has the offset of its `OrderPlaced`, not the time: that is in `order_events`.
_PLACED: Final = (
    update(schema.orders)
    .values(placed_at=schema.order_events.c.time)
    .where(
        schema.order_events.c.topic == topics.CHECKOUT,
        schema.order_events.c.partition == schema.orders.c.partition,
        schema.order_events.c.at_offset == schema.orders.c.placed_offset,
        schema.order_events.c.time != schema.orders.c.placed_at,
    )
)


class Sqlite:
    """Statements for SQLite: one for each row, since there is no network between."""

    def __init__(self) -> None:
        self._upserts = {
            table: _guarded(table, sqlite.insert(table)) for table in schema.metadata.tables.values()
        }
        is_placed = schema.orders.c.order_id == bindparam("placed")
        self._placed = _PLACED.where(is_placed)
        self._marked = _marked(sqlite.insert(schema.changed_minutes), is_placed)

    async def put(self, connection: AsyncConnection, table: Table, rows: Sequence[Fields]) -> None:
        """Rows of one table, each key once."""
        await connection.execute(self._upserts[table], rows)

    async def date(self, connection: AsyncConnection, orders: Iterable[str]) -> None:
        """Puts the times at which they were placed into these orders, as far as they are known."""
        await connection.execute(self._placed, [{"placed": order} for order in orders])

    async def mark(self, connection: AsyncConnection, orders: Iterable[str]) -> None:
        """Marks the minutes in which these orders were placed: they are counted anew."""
        await connection.execute(self._marked, [{"placed": order} for order in orders])


class Postgresql:
    """Statements for PostgreSQL: one array for each column, which takes the server half the time."""

    def __init__(self) -> None:
        self._upserts = {
            table: _guarded(table, _unnested(table)) for table in schema.metadata.tables.values()
        }
        orders = bindparam("placed", type_=postgresql.ARRAY(Text()))
        is_placed = schema.orders.c.order_id == any_(orders)
        self._placed = _PLACED.where(is_placed)
        self._marked = _marked(postgresql.insert(schema.changed_minutes), is_placed)

    async def put(self, connection: AsyncConnection, table: Table, rows: Sequence[Fields]) -> None:
        """Rows of one table, each key once."""
        columns = {column.name: [row[column.name] for row in rows] for column in table.c}
        await connection.execute(self._upserts[table], columns)

    async def date(self, connection: AsyncConnection, orders: Iterable[str]) -> None:
        """Puts the times at which they were placed into these orders, as far as they are known."""
        await connection.execute(self._placed, {"placed": list(orders)})

    async def mark(self, connection: AsyncConnection, orders: Iterable[str]) -> None:
        """Marks the minutes in which these orders were placed: they are counted anew."""
        await connection.execute(self._marked, {"placed": list(orders)})


def _marked(insert: Any, is_placed: ColumnElement[bool]) -> Any:
    return insert.from_select(["minute"], minutes_of(is_placed).distinct()).on_conflict_do_nothing()


def _unnested(table: Table) -> Any:
    rows = select(*(func.unnest(bindparam(column.name, type_=_array(column))) for column in table.c))
    return postgresql.insert(table).from_select([column.name for column in table.c], rows)


def _array(column: Column[Any]) -> Any:
    return postgresql.ARRAY(Text() if isinstance(column.type, String) else column.type)


def _guarded(table: Table, statement: Any) -> Any:
    guard = _GUARDS.get(table)
    key = list(table.primary_key.columns)
    if guard is None:
        return statement.on_conflict_do_nothing(index_elements=key)
    kept = {*key, schema.orders.c.placed_at}
    values = {column.name: statement.excluded[column.name] for column in table.c if column not in kept}
    return statement.on_conflict_do_update(
        index_elements=key, set_=values, where=guard(statement.excluded, table.c)
    )
