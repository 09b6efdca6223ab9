"""Queries about orders that were placed and that no worker has taken, as far as the copy knows; see `copy.taken`.

Their row has the columns of `orders`, but only the id, the place and the times are known.
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import Select, desc, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import topics
from saga_app.core.labels import PLACED
from saga_app.core.records import OrderPlaced
from saga_app.core.route import STEPS
from saga_app.orderdb.queries.ids import begins
from saga_app.orderdb.schema import dead_letters, order_events, orders, taken

_NOTHING: Final = {
    **dict.fromkeys(column.name for column in orders.c),
    **dict.fromkeys(step.name.value for step in STEPS),
}


class UntakenFilter(NamedTuple):
    """The part of an `OrderFilter` that fits such orders: the times, and the beginning of the id."""

    since: int | None = None
    until: int | None = None
    q: str = ""


async def count(connection: AsyncConnection, choice: UntakenFilter) -> int:
    """The number of such orders."""
    return await connection.scalar(select(func.count()).select_from(_grouped(choice).subquery())) or 0


async def oldest(connection: AsyncConnection, choice: UntakenFilter) -> int | None:
    """The time at which the oldest of them was placed; None if there are none."""
    found: int | None = await connection.scalar(select(func.min(_grouped(choice).subquery().c.placed_at)))
    return found


async def by_minute(connection: AsyncConnection, since: int, minute: int) -> list[tuple[int, int]]:
    """How many were placed in each `minute` (so many milliseconds) from `since` on, without empty ones."""
    found = _grouped(UntakenFilter(since=since)).subquery()
    at = ((found.c.placed_at - since) // minute).label("minute")
    query = select(at, func.count()).group_by(at)
    return [(row[0], row[1]) for row in await connection.execute(query)]


async def page(
    connection: AsyncConnection,
    choice: UntakenFilter,
    limit: int,
    before: tuple[int, str] | None = None,
    *,
    oldest_first: bool = False,
) -> list[dict[str, Any]]:
    """A page of them, newest first, with the columns of `orders`; `before` is time and id of the last one before."""
    found = _grouped(choice).subquery()
    age = (found.c.placed_at, found.c.order_id)
    query = select(found).order_by(*(age if oldest_first else map(desc, age))).limit(limit)
    if before is not None:
        query = query.where(
            tuple_(*age) > tuple_(*before) if oldest_first else tuple_(*age) < tuple_(*before)
        )
    return [_row(dict(row)) for row in (await connection.execute(query)).mappings()]


async def find(connection: AsyncConnection, order_id: str) -> dict[str, Any] | None:
    """The row of this order if nobody has taken it."""
    query = _grouped(UntakenFilter()).where(order_events.c.order_id == order_id)
    found = (await connection.execute(query)).mappings().first()
    return None if found is None else _row(dict(found))


def _row(known: dict[str, Any]) -> dict[str, Any]:
    return {**_NOTHING, **known, "status": PLACED, "since": known["placed_at"]}


def _grouped(choice: UntakenFilter) -> Select[Any]:
    """Each order once, by the first of its `OrderPlaced` that is not taken."""
    event, letter = order_events.c, dead_letters.c
    refused = (letter.topic == event.topic) & (letter.partition == event.partition)
    query = (
        select(
            event.order_id,
            event.partition,
            func.min(event.at_offset).label("placed_offset"),
            func.min(event.time).label("placed_at"),
        )
        .select_from(
            taken.join(
                order_events,
                (event.topic == topics.CHECKOUT)
                & (event.partition == taken.c.partition)
                & (event.at_offset >= taken.c.next_offset),
            )
        )
        .where(
            event.type == OrderPlaced.__name__,
            ~exists().where(orders.c.order_id == event.order_id),
            ~exists().where(refused & (letter.at_offset == event.at_offset)),
        )
        .group_by(event.order_id, event.partition)
    )
    if choice.since is not None:
        query = query.where(event.time >= choice.since)
    if choice.until is not None:
        query = query.where(event.time < choice.until)
    if choice.q:
        query = query.where(begins(event.order_id, choice.q))
    return query
