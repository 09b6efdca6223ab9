"""What the order database is asked: lists of orders, newest first and page by page, and how many of each kind."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, Tuple, desc, func, inspect, select, text, tuple_, union
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.checkout import FIRST_DELAY
from saga_app.core.route import ROUTE
from saga_app.core.rows import OPEN_STATUSES
from saga_app.kafka.messages import Place
from saga_app.orderdb.database import Database, DatabaseEmpty, DatabaseWrong
from saga_app.orderdb.schema import REVISION, copied, order_lines, order_steps, orders
from saga_app.settings import Settings

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Behind every character that an id may have.
_BEHIND: Final = "\x7f"
Listed = dict[str, Any]
Answer = TypeVar("Answer")


class OrderFilter(NamedTuple):
    """All that is given must fit: placed from `since` on and before `until`, in milliseconds; `q` is how an order's id,
    its customer or a SKU begins.
    """

    statuses: tuple[str, ...] = ()
    since: int | None = None
    q: str = ""
    until: int | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """For WHERE."""
        if self.statuses:
            yield orders.c.status.in_(self.statuses)
        if self.since is not None:
            yield orders.c.placed_at >= self.since
        if self.until is not None:
            yield orders.c.placed_at < self.until
        if self.q:
            yield orders.c.order_id.in_(_named(self.q))

    @property
    def can_fit(self) -> bool:
        """Whether there are ids that begin so."""
        return not self.q or is_id(self.q)


def late(now: int) -> OrderFilter:
    """Orders that have not ended before their first deadline; `now` in milliseconds."""
    return OrderFilter(tuple(sorted(OPEN_STATUSES)), until=now - FIRST_DELAY)


def is_id(text: str) -> bool:
    """Whether an order, a customer or an article could have this id."""
    return _ID.fullmatch(text) is not None


async def asked(settings: Settings, ask: Callable[[AsyncConnection], Awaitable[Answer]]) -> Answer:
    """One question on a connection that can change nothing. `DatabaseEmpty` if there is nothing to ask yet."""
    async with reading(settings) as database, database.transaction() as connection:
        return await ask(connection)


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Database]:
    """The database for many questions, each in a transaction of its own; it can change nothing. See `asked`."""
    database = Database(settings.db_url, reads=True)
    if database.file is not None and not database.file.exists():
        raise DatabaseEmpty(f"{database.name} is not there yet; `saga orderdb run` makes it")
    try:
        async with database.transaction() as connection:
            await _require(database, connection)
        yield database
    finally:
        await database.close()


async def page(
    connection: AsyncConnection,
    choice: OrderFilter,
    limit: int,
    before: str | None = None,
    *,
    oldest_first: bool = False,
) -> list[Listed]:
    """So many orders, newest first, with the states of their steps; `before` is the last order of the page before.

    `LookupError` if there is no such order.
    """
    if not choice.can_fit:
        return []
    asked = _with_steps().where(*choice.conditions())
    if before is not None:
        last = await _age_of(connection, before)
        asked = asked.where(age() > last if oldest_first else age() < last)
    ages = (orders.c.placed_at, orders.c.order_id)
    asked = asked.order_by(*(ages if oldest_first else map(desc, ages))).limit(limit)
    return [dict(row) for row in (await connection.execute(asked)).mappings()]


async def newest(
    connection: AsyncConnection,
    asked: Select[Any],
    limit: int,
    before: tuple[int, str] | None,
    *,
    open_only: bool,
) -> list[Listed]:
    """So many rows of a question about orders, newest first; `before`: age and id of the last one before."""
    if open_only:
        asked = asked.where(orders.c.status.in_(sorted(OPEN_STATUSES)))
    if before is not None:
        asked = asked.where(age() < tuple_(*before))
    asked = asked.order_by(orders.c.placed_at.desc(), orders.c.order_id.desc()).limit(limit)
    return [dict(row) for row in (await connection.execute(asked)).mappings()]


async def counts(connection: AsyncConnection, choice: OrderFilter) -> dict[str, int]:
    """How many orders there are of each status."""
    if not choice.can_fit:
        return {}
    asked = select(orders.c.status, func.count()).where(*choice.conditions()).group_by(orders.c.status)
    rows = (await connection.execute(asked.order_by(orders.c.status))).all()
    return {row[0]: row[1] for row in rows}


async def oldest(connection: AsyncConnection, choice: OrderFilter) -> int | None:
    """When the oldest of these orders was placed; None if there are none."""
    asked = select(func.min(orders.c.placed_at)).where(*choice.conditions())
    return await connection.scalar(asked) if choice.can_fit else None


async def progress(connection: AsyncConnection) -> dict[Place, int]:
    """How far each partition was copied."""
    rows = (await connection.execute(select(copied.c.topic, copied.c.partition, copied.c.next_offset))).all()
    return {(row.topic, row.partition): row.next_offset for row in rows}


async def _require(database: Database, connection: AsyncConnection) -> None:
    """Returns if the database has our tables; else `DatabaseWrong`."""
    there = await connection.run_sync(lambda each: inspect(each).has_table("alembic_version"))
    found = await connection.scalar(text("SELECT version_num FROM alembic_version")) if there else None
    if found is None:
        raise DatabaseEmpty(f"{database.name} has no orders yet; `saga orderdb run` copies them")
    if found != REVISION:
        raise DatabaseWrong(
            f"{database.name} has tables of version {found}, this program knows version {REVISION}; "
            "`saga orderdb run` brings older ones up to date"
        )


def _with_steps() -> Select[Any]:
    """Orders, and beside each the state of each of its steps, under the step's name."""
    steps = {step.name.value: order_steps.alias(step.name.value) for step in ROUTE}
    asked: Select[Any] = select(orders, *(step.c.state.label(name) for name, step in steps.items()))
    joined: Any = orders
    for name, step in steps.items():
        joined = joined.outerjoin(step, (step.c.order_id == orders.c.order_id) & (step.c.service == name))
    return asked.select_from(joined)


def _named(prefix: str) -> Any:
    """The orders whose id, customer or SKU begins so: three looks into an index."""
    ids = select(orders.c.order_id)
    return union(
        ids.where(begins(orders.c.order_id, prefix)),
        ids.where(begins(orders.c.customer_id, prefix)),
        select(order_lines.c.order_id).where(begins(order_lines.c.sku, prefix)),
    )


def begins(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    """Between two ids: LIKE could not use an index everywhere, and would know wildcards and small letters."""
    return (column >= prefix) & (column < prefix + _BEHIND)


def age() -> Tuple:
    return tuple_(orders.c.placed_at, orders.c.order_id)


async def _age_of(connection: AsyncConnection, order_id: str) -> Tuple:
    """Where the order stands in the list."""
    asked = select(orders.c.placed_at).where(orders.c.order_id == order_id)
    placed_at = await connection.scalar(asked) if is_id(order_id) else None
    if placed_at is None:
        raise LookupError(order_id)
    return tuple_(placed_at, order_id)
