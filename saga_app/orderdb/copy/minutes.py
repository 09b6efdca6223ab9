"""Counts orders by the minute in which they were placed, so that a chart of a day reads some thousand rows.

A batch marks the minutes of the orders that it changes, in its own transaction. `count` counts marked minutes anew from
the rows of `orders`: it adds nothing up, so it is right after any failure, and a repeat changes nothing.
"""

import time
from typing import Any, Final

from sqlalchemy import ColumnElement, Insert, Select, case, delete, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.orderdb.durations import CLASSES, LONGER
from saga_app.orderdb.schema import changed_minutes, order_minutes, orders

#: Milliseconds of a minute.
MINUTE: Final = 60_000
#: Minutes that are counted in one transaction, and the seconds after which it ends with what it has.
_MOST: Final = 100
_ENOUGH: Final = 0.2


def minutes_of(condition: ColumnElement[bool]) -> Select[Any]:
    """Selects the minutes of these orders, to be marked."""
    return select(orders.c.placed_at // MINUTE).where(condition)


async def count(connection: AsyncConnection) -> bool:
    """Counts marked minutes, the newest first; True if some are left. Nobody else may write meanwhile."""
    began = time.monotonic()
    query = select(changed_minutes.c.minute).order_by(changed_minutes.c.minute.desc()).limit(_MOST + 1)
    marked = [row.minute for row in await connection.execute(query)]
    done = 0
    while done < min(len(marked), _MOST) and time.monotonic() - began < _ENOUGH:
        minute = marked[done]
        await connection.execute(delete(order_minutes).where(order_minutes.c.minute == minute))
        await connection.execute(_counted(minute))
        await connection.execute(delete(changed_minutes).where(changed_minutes.c.minute == minute))
        done += 1
    return done < len(marked)


def _counted(minute: int) -> Insert:
    took = orders.c.ended_at - orders.c.placed_at
    classed = (
        select(
            literal(minute).label("minute"),
            orders.c.status,
            func.coalesce(orders.c.reason, "").label("reason"),
            case(
                (orders.c.ended_at.is_(None), 0), *((took <= most, most) for most in CLASSES), else_=LONGER
            ).label("took"),
        )
        .where(orders.c.placed_at >= minute * MINUTE, orders.c.placed_at < (minute + 1) * MINUTE)
        .subquery()
    )
    counted = select(*classed.c, func.count()).group_by(*classed.c)
    return order_minutes.insert().from_select([column.name for column in order_minutes.c], counted)
