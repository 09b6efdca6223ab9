"""Queries about orders: sorted lists, page by page, and the number of each status."""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Double, Select, Tuple, cast, desc, func, or_, select, tuple_, union
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.labels import OPEN, PLACED
from saga_app.core.patience import FIRST_DELAY
from saga_app.core.route import STEPS
from saga_app.core.rows import ASKED_STATES, OPEN_STATUSES
from saga_app.orderdb.queries import untaken
from saga_app.orderdb.queries.ids import begins, is_id
from saga_app.orderdb.queries.untaken import UntakenFilter
from saga_app.orderdb.schema import order_lines, order_steps, orders

#: A row with the names of its columns.
Listed = dict[str, Any]


#: Amounts as numbers: SQLite keeps them as text. Equal amounts are equal numbers, and a sum of money of 15 digits is
#: exact, so lists are sorted rightly.
_AMOUNT: Final = cast(orders.c.amount, Double)


class Sort(StrEnum):
    """The sequence of a list: by the time at which orders were placed, or by amount, and then by id."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LARGEST = "largest"
    SMALLEST = "smallest"

    @property
    def is_by_amount(self) -> bool:
        return self in (Sort.LARGEST, Sort.SMALLEST)

    @property
    def is_descending(self) -> bool:
        return self in (Sort.NEWEST, Sort.LARGEST)


class OrderFilter(NamedTuple):
    """A filter of orders; every field that is given must fit.

    Orders were placed from `since` on and before `until`, in milliseconds. Their id, their customer's id or one of
    their SKUs begins with `q`. They turned round for this `reason`, `customer` has placed them, and their amount is at
    least `least` and at most `most`, in whatever currency. A provider was asked for an effect before `asked_before` and
    nobody knows of it, or it said what cannot be.
    """

    statuses: tuple[str, ...] = ()
    since: int | None = None
    q: str = ""
    until: int | None = None
    reason: str = ""
    customer: str = ""
    least: Decimal | None = None
    most: Decimal | None = None
    asked_before: int | None = None

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
        if self.reason:
            yield orders.c.reason == self.reason
        if self.customer:
            yield orders.c.customer_id == self.customer
        if self.asked_before is not None:
            yield orders.c.order_id.in_(_unsure(self.asked_before))
        if self.least is not None:
            yield float(self.least) <= _AMOUNT
        if self.most is not None:
            yield float(self.most) >= _AMOUNT

    @property
    def of_untaken(self) -> UntakenFilter | None:
        """The filter of orders that no worker has taken; None if it fits none of them.

        Their reason, customer and amount are not known.
        """
        if self.statuses and PLACED not in self.statuses:
            return None
        if self.reason or self.customer or self.least is not None or self.most is not None:
            return None
        if self.asked_before is not None:
            return None
        return UntakenFilter(self.since, self.until, self.q)

    @property
    def can_fit(self) -> bool:
        """True if an id can begin with `q`, and a customer have this id."""
        return all(not each or is_id(each) for each in (self.q, self.customer))


def late(now: int) -> OrderFilter:
    """Orders that have not ended before their first deadline, taken or not; `now` in milliseconds."""
    return OrderFilter(OPEN, until=now - FIRST_DELAY)


async def page(
    connection: AsyncConnection,
    choice: OrderFilter,
    limit: int,
    before: str | None = None,
    *,
    sort: Sort = Sort.NEWEST,
    backwards: bool = False,
) -> list[Listed]:
    """A page of orders with the states of their steps; `before` is the last order of the page before.

    With `backwards`, `before` is the first order of the page behind. Orders that no worker has taken are among them,
    with empty columns, unless they are sorted by amount. Raises `LookupError` if there is no order `before`.
    """
    if not choice.can_fit:
        return []
    descends = sort.is_descending is not backwards
    columns = (_AMOUNT if sort.is_by_amount else orders.c.placed_at, orders.c.order_id)
    query = _with_steps().where(*choice.conditions())
    last = None if before is None else await _place_of(connection, before, sort)
    if last is not None:
        query = query.where(tuple_(*columns) < last if descends else tuple_(*columns) > last)
    query = query.order_by(*(map(desc, columns) if descends else columns)).limit(limit)
    found = [dict(row) for row in (await connection.execute(query)).mappings()]
    if not sort.is_by_amount and (of_untaken := choice.of_untaken) is not None:
        found += await untaken.page(connection, of_untaken, limit, last, oldest_first=not descends)
        found.sort(key=lambda row: (row["placed_at"], row["order_id"]), reverse=descends)
    found = found[:limit]
    return found[::-1] if backwards else found


async def of_ids(connection: AsyncConnection, order_ids: list[str]) -> list[Listed]:
    """The orders with these ids that a worker has taken, by id."""
    query = _with_steps().where(orders.c.order_id.in_(order_ids)).order_by(orders.c.order_id)
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
    found = {row[0]: row[1] for row in rows}
    if (of_untaken := choice.of_untaken) is not None and (
        number := await untaken.count(connection, of_untaken)
    ):
        found[PLACED] = number
    return found


async def oldest(connection: AsyncConnection, choice: OrderFilter) -> int | None:
    """The time at which the oldest of these orders was placed; None if there are none."""
    if not choice.can_fit:
        return None
    query = select(func.min(orders.c.placed_at)).where(*choice.conditions())
    found = [await connection.scalar(query)]
    if (of_untaken := choice.of_untaken) is not None:
        found.append(await untaken.oldest(connection, of_untaken))
    return min((each for each in found if each is not None), default=None)


def _with_steps() -> Select[Any]:
    """Selects orders with the state of each step, in a column with the step's name."""
    steps = {step.name.value: order_steps.alias(step.name.value) for step in STEPS}
    query: Select[Any] = select(orders, *(step.c.state.label(name) for name, step in steps.items()))
    joined: Any = orders
    for name, step in steps.items():
        joined = joined.outerjoin(step, (step.c.order_id == orders.c.order_id) & (step.c.service == name))
    return query.select_from(joined)


def _unsure(before: int) -> Select[Any]:
    """Selects the orders with an effect that a provider was asked for before, or in conflict; by a small index."""
    step = order_steps.c
    asked = step.state.in_(sorted(ASKED_STATES)) & (step.asked_at < before)
    at_provider = or_(step.provider.is_not(None), step.conflict.is_not(None))
    return select(step.order_id).where(at_provider, or_(asked, step.conflict.is_not(None)))


def _named(prefix: str) -> Any:
    """Selects the orders with an id, a customer or a SKU that begins so, from three indexes."""
    ids = select(orders.c.order_id)
    return union(
        ids.where(begins(orders.c.order_id, prefix)),
        ids.where(begins(orders.c.customer_id, prefix)),
        select(order_lines.c.order_id).where(begins(order_lines.c.sku, prefix)),
    )


def age() -> Tuple:
    """The columns by which lists are sorted."""
    return tuple_(orders.c.placed_at, orders.c.order_id)


async def _place_of(connection: AsyncConnection, order_id: str, sort: Sort) -> tuple[Any, str]:
    """The values by which the list is sorted, for this order."""
    if not is_id(order_id):
        raise LookupError(order_id)
    column = _AMOUNT if sort.is_by_amount else orders.c.placed_at
    value = await connection.scalar(select(column).where(orders.c.order_id == order_id))
    if value is None:
        found = None if sort.is_by_amount else await untaken.find(connection, order_id)
        if found is None:
            raise LookupError(order_id)
        value = found["placed_at"]
    return value, order_id
