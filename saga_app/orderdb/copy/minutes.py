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
from saga_app.times import now

#: Milliseconds of a minute.
MINUTE: Final = 60_000
#: Minutes that are counted in one transaction, and the seconds after which it ends with what it has.
_MOST: Final = 100
_ENOUGH: Final = 0.2
#: Minutes of a day, and of the time for which counts are kept: charts show a day.
_DAY: Final = 24 * 60
_KEPT: Final = 2 * _DAY


def minutes_of(condition: ColumnElement[bool]) -> Select[Any]:
    """Selects the minutes of these orders, to be marked."""
    return select(orders.c.placed_at // MINUTE).where(condition)


async def count(connection: AsyncConnection) -> bool:
    """Counts marked minutes, the newest and then the oldest; True if some are left. Nobody else may write meanwhile.

    At least one of the oldest is counted each time, so none waits for ever behind a newest one that always changes.
    """
    began = time.monotonic()
    await _prune(connection)
    newest = await connection.scalar(select(func.max(changed_minutes.c.minute)))
    if newest is None:
        return False
    query = select(changed_minutes.c.minute).where(changed_minutes.c.minute < newest)
    older = await connection.scalars(query.order_by(changed_minutes.c.minute).limit(_MOST))
    for done, minute in enumerate((newest, *older)):
        if done == _MOST or (done > 1 and time.monotonic() - began >= _ENOUGH):
            return True
        await connection.execute(delete(order_minutes).where(order_minutes.c.minute == minute))
        await connection.execute(_counted(minute))
        await connection.execute(delete(changed_minutes).where(changed_minutes.c.minute == minute))
    return False


async def _prune(connection: AsyncConnection) -> None:
    """Removes minutes that no chart reads, and their marks: a day of counts at once, so that it is quick."""
    newest = [
        await connection.scalar(select(func.max(each.c.minute))) for each in (order_minutes, changed_minutes)
    ]
    # The time of a record may be ahead of the clock: it must not remove what a chart shows now.
    last = min(max((each for each in newest if each is not None), default=0), now() // MINUTE)
    first = await connection.scalar(select(func.min(order_minutes.c.minute)))
    await connection.execute(delete(changed_minutes).where(changed_minutes.c.minute < last - _KEPT))
    if first is not None and first < last - _KEPT:
        before = min(first + _DAY, last - _KEPT)
        await connection.execute(delete(order_minutes).where(order_minutes.c.minute < before))


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
