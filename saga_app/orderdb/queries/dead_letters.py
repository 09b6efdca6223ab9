"""Queries about dead letters: lists, newest first, and the number of each reason."""

from typing import Final

from sqlalchemy import ColumnElement, desc, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.dead_letters.format import LetterId
from saga_app.orderdb.queries.orders import Listed
from saga_app.orderdb.schema import dead_letters, settlements

_AGE = (
    dead_letters.c.time,
    dead_letters.c.topic,
    dead_letters.c.partition,
    dead_letters.c.at_offset,
)
_UNSETTLED: Final = ~exists().where(
    settlements.c.topic == dead_letters.c.topic,
    settlements.c.partition == dead_letters.c.partition,
    settlements.c.at_offset == dead_letters.c.at_offset,
)


async def counts(connection: AsyncConnection, *, settled: bool = False) -> dict[str, int]:
    """The number of unsettled dead letters of each reason; with `settled`, of all."""
    query = select(dead_letters.c.reason, func.count()).group_by(dead_letters.c.reason)
    if not settled:
        query = query.where(_UNSETTLED)
    rows = (await connection.execute(query.order_by(dead_letters.c.reason))).all()
    return {row[0]: row[1] for row in rows}


async def page(
    connection: AsyncConnection,
    limit: int,
    reason: str = "",
    before: LetterId | None = None,
    *,
    settled: bool = False,
) -> list[Listed]:
    """A page of unsettled dead letters, or with `settled` of all, newest first, each from `with_settlements`.

    `before` is the last one of the page before.
    """
    query = select(dead_letters).order_by(*map(desc, _AGE)).limit(limit)
    if not settled:
        query = query.where(_UNSETTLED)
    if reason:
        query = query.where(dead_letters.c.reason == reason)
    if before is not None:
        last = (await connection.execute(select(*_AGE).where(_at(before)))).one_or_none()
        if last is None:
            return []
        query = query.where(tuple_(*_AGE) < tuple_(*last))
    found = [dict(row) for row in (await connection.execute(query)).mappings()]
    return [await with_settlements(connection, row) for row in found]


async def one(connection: AsyncConnection, place: LetterId) -> Listed | None:
    """One dead letter, from `with_settlements`."""
    row = (await connection.execute(select(dead_letters).where(_at(place)))).mappings().one_or_none()
    return None if row is None else await with_settlements(connection, dict(row))


async def with_settlements(connection: AsyncConnection, letter: Listed) -> Listed:
    """A row of `dead_letters` with its `id`, and with the rows of its `replays` and `dismissals`, oldest first."""
    place = LetterId(letter["topic"], letter["partition"], letter["at_offset"])
    same = tuple_(settlements.c.topic, settlements.c.partition, settlements.c.at_offset) == tuple_(*place)
    query = select(settlements).where(same).order_by(settlements.c.time)
    done = [dict(row) for row in (await connection.execute(query)).mappings()]
    return {
        **letter,
        "id": str(place),
        "replays": [row for row in done if row["note"] is None],
        "dismissals": [row for row in done if row["note"] is not None],
    }


def _at(place: LetterId) -> ColumnElement[bool]:
    return tuple_(dead_letters.c.topic, dead_letters.c.partition, dead_letters.c.at_offset) == tuple_(*place)
