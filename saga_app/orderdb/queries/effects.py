"""A query about the effects at providers that are asked for, or in conflict, in all partitions."""

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.rows import ASKED_STATES
from saga_app.effects.dispatcher import IN_DOUBT
from saga_app.effects.reading import EffectsReading
from saga_app.orderdb.schema import UNSETTLED, order_steps


async def reading(connection: AsyncConnection, now: int) -> EffectsReading:
    """The effects by provider at `now`, in milliseconds; the copy may be behind. A small index has all of them."""
    step = order_steps.c
    is_asked = case((step.state.in_(sorted(ASKED_STATES)), 1), else_=0)
    is_in_doubt = case((step.asked_at < now - IN_DOUBT, is_asked), else_=0)
    asked_at = case((is_asked == 1, step.asked_at))
    query = (
        select(
            step.provider,
            func.sum(is_asked).label("asked"),
            func.sum(is_in_doubt).label("in_doubt"),
            func.min(asked_at).label("oldest"),
            func.count(step.conflict).label("conflicts"),
        )
        .where(UNSETTLED)
        .group_by(step.provider)
    )
    found = (await connection.execute(query)).all()
    asked = [row for row in found if row.provider is not None and row.asked]
    return EffectsReading(
        {row.provider: int(row.asked) for row in asked},
        {row.provider: int(row.in_doubt) for row in asked if row.in_doubt},
        {row.provider: max(0, now - row.oldest) for row in asked if row.oldest is not None},
        {},
        (),
        sum(row.conflicts for row in found),
    )
