"""Queries about orders: lists, newest first and page by page, and the number of each status."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, Tuple, desc, func, select, tuple_, union
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.checkout import FIRST_DELAY
from saga_app.core.route import ROUTE
from saga_app.core.rows import OPEN_STATUSES
from saga_app.orderdb.schema import order_lines, order_steps, orders

_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
#: Behind every character that an id may have.
_BEHIND: Final = "\x7f"
#: A row with the names of its columns.
Listed = dict[str, Any]


class OrderFilter(NamedTuple):
    """A filter of orders; every field that is given must fit.

    Orders were placed from `since` on and before `until`, in milliseconds. Their id, their customer's id or one of
    their SKUs begins with `q`.
    """

    statuses: tuple[str, ...] = ()
    since: int | None = None
    q: str = ""
    until: int | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The conditions of the filter, for WHERE."""
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
        """True if an id can begin with `q`."""
        return not self.q or is_id(self.q)


def late(now: int) -> OrderFilter:
    """Orders that have not ended before their first deadline; `now` in milliseconds."""
    return OrderFilter(tuple(sorted(OPEN_STATUSES)), until=now - FIRST_DELAY)


def is_id(text: str) -> bool:
    """True if an order, a customer or an article can have this id."""
    return _ID.fullmatch(text) is not None


async def page(
    connection: AsyncConnection,
    choice: OrderFilter,
    limit: int,
    before: str | None = None,
    *,
    oldest_first: bool = False,
) -> list[Listed]:
    """A page of orders, newest first, with the states of their steps; `before` is the last order of the page before.

    Raises `LookupError` if there is no order `before`.
    """
    if not choice.can_fit:
        return []
    query = _with_steps().where(*choice.conditions())
    if before is not None:
        last = await _age_of(connection, before)
        query = query.where(age() > last if oldest_first else age() < last)
    ages = (orders.c.placed_at, orders.c.order_id)
    query = query.order_by(*(ages if oldest_first else map(desc, ages))).limit(limit)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def newest(
    connection: AsyncConnection,
    query: Select[Any],
    limit: int,
    before: tuple[int, str] | None,
    *,
    open_only: bool,
) -> list[Listed]:
    """A page of a query about orders, newest first; `before` is `placed_at` and id of the last order before it."""
    if open_only:
        query = query.where(orders.c.status.in_(sorted(OPEN_STATUSES)))
    if before is not None:
        query = query.where(age() < tuple_(*before))
    query = query.order_by(orders.c.placed_at.desc(), orders.c.order_id.desc()).limit(limit)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def counts(connection: AsyncConnection, choice: OrderFilter) -> dict[str, int]:
    """The number of orders of each status."""
    if not choice.can_fit:
        return {}
    query = select(orders.c.status, func.count()).where(*choice.conditions()).group_by(orders.c.status)
    rows = (await connection.execute(query.order_by(orders.c.status))).all()
    return {row[0]: row[1] for row in rows}


async def oldest(connection: AsyncConnection, choice: OrderFilter) -> int | None:
    """The time at which the oldest of these orders was placed; None if there are none."""
    query = select(func.min(orders.c.placed_at)).where(*choice.conditions())
    return await connection.scalar(query) if choice.can_fit else None


def _with_steps() -> Select[Any]:
    """Selects orders with the state of each step, in a column with the step's name."""
    steps = {step.name.value: order_steps.alias(step.name.value) for step in ROUTE}
    query: Select[Any] = select(orders, *(step.c.state.label(name) for name, step in steps.items()))
    joined: Any = orders
    for name, step in steps.items():
        joined = joined.outerjoin(step, (step.c.order_id == orders.c.order_id) & (step.c.service == name))
    return query.select_from(joined)


def _named(prefix: str) -> Any:
    """Selects the orders with an id, a customer or a SKU that begins so, from three indexes."""
    ids = select(orders.c.order_id)
    return union(
        ids.where(begins(orders.c.order_id, prefix)),
        ids.where(begins(orders.c.customer_id, prefix)),
        select(order_lines.c.order_id).where(begins(order_lines.c.sku, prefix)),
    )


def begins(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    """A condition on a prefix, as a range of ids: LIKE may use no index, has wildcards, and may ignore case."""
    return (column >= prefix) & (column < prefix + _BEHIND)


def age() -> Tuple:
    """The columns by which lists are sorted."""
    return tuple_(orders.c.placed_at, orders.c.order_id)


async def _age_of(connection: AsyncConnection, order_id: str) -> Tuple:
    """The values of `age` for this order."""
    query = select(orders.c.placed_at).where(orders.c.order_id == order_id)
    placed_at = await connection.scalar(query) if is_id(order_id) else None
    if placed_at is None:
        raise LookupError(order_id)
    return tuple_(placed_at, order_id)
