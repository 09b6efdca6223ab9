"""Queries about what people and programs did, newest first."""

from sqlalchemy import desc, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.dead_letters.format import LetterId
from saga_app.orderdb.queries.orders import Listed
from saga_app.orderdb.schema import actions

_AGE = (actions.c.time, actions.c.topic, actions.c.partition, actions.c.at_offset)
_PLACE = _AGE[1:]


async def page(
    connection: AsyncConnection,
    limit: int,
    actor: str = "",
    kind: str = "",
    before: LetterId | None = None,
) -> list[Listed]:
    """A page of actions with their `id`, of one actor or type or of all; `before` is the last of the page before."""
    query = select(actions).order_by(*map(desc, _AGE)).limit(limit)
    if actor:
        query = query.where(actions.c.actor == actor)
    if kind:
        query = query.where(actions.c.type == kind)
    if before is not None:
        last = (
            await connection.execute(select(*_AGE).where(tuple_(*_PLACE) == tuple_(*before)))
        ).one_or_none()
        if last is None:
            return []
        query = query.where(tuple_(*_AGE) < tuple_(*last))
    rows = (await connection.execute(query)).mappings()
    return [{**row, "id": str(LetterId(row["topic"], row["partition"], row["at_offset"]))} for row in rows]
