"""Queries about dead letters: lists, newest first, and the number of each reason."""

from sqlalchemy import ColumnElement, desc, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.dead_letters.format import LetterId
from saga_app.orderdb.queries.orders import Listed
from saga_app.orderdb.schema import dead_letters, replays

_AGE = (
    dead_letters.c.time,
    dead_letters.c.topic,
    dead_letters.c.partition,
    dead_letters.c.at_offset,
)


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """The number of dead letters of each reason."""
    query = select(dead_letters.c.reason, func.count()).group_by(dead_letters.c.reason)
    rows = (await connection.execute(query.order_by(dead_letters.c.reason))).all()
    return {row[0]: row[1] for row in rows}


async def page(
    connection: AsyncConnection, limit: int, reason: str = "", before: LetterId | None = None
) -> list[Listed]:
    """A page of dead letters, newest first, each from `with_replays`; `before` is the last one of the page before."""
    query = select(dead_letters).order_by(*map(desc, _AGE)).limit(limit)
    if reason:
        query = query.where(dead_letters.c.reason == reason)
    if before is not None:
        last = (await connection.execute(select(*_AGE).where(_at(before)))).one_or_none()
        if last is None:
            return []
        query = query.where(tuple_(*_AGE) < tuple_(*last))
    found = [dict(row) for row in (await connection.execute(query)).mappings()]
    return [await with_replays(connection, row) for row in found]


async def one(connection: AsyncConnection, place: LetterId) -> Listed | None:
    """One dead letter, from `with_replays`."""
    row = (await connection.execute(select(dead_letters).where(_at(place)))).mappings().one_or_none()
    return None if row is None else await with_replays(connection, dict(row))


async def with_replays(connection: AsyncConnection, letter: Listed) -> Listed:
    """A row of `dead_letters` with its `id`, and with `replays`: the rows of its replays, oldest first."""
    place = LetterId(letter["topic"], letter["partition"], letter["at_offset"])
    same = tuple_(replays.c.topic, replays.c.partition, replays.c.at_offset) == tuple_(*place)
    again = (await connection.execute(select(replays).where(same).order_by(replays.c.time))).mappings()
    return {**letter, "id": str(place), "replays": [dict(row) for row in again]}


def _at(place: LetterId) -> ColumnElement[bool]:
    return tuple_(dead_letters.c.topic, dead_letters.c.partition, dead_letters.c.at_offset) == tuple_(*place)
