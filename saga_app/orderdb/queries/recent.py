"""Queries about the orders of the last minutes: their number, how long they took, why some were cancelled."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.labels import OPEN, PLACED
from saga_app.core.rows import Status
from saga_app.orderdb.queries import untaken
from saga_app.orderdb.schema import orders

MINUTE: Final = 60_000
MINUTES: Final = 15
#: At most so many orders are read, so that the query stays fast.
MOST: Final = 10_000
#: The classes of durations, each by its upper bound in milliseconds; a longer one is in no class.
CLASSES: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000)


class Recent(NamedTuple):
    """Orders by the minute in which they were placed, the oldest minute first; the last one is not over.

    `begins` is the first minute in milliseconds since 1970; `took` counts ended orders by class of duration, in
    milliseconds; `reasons` cancelled ones. If `is_part`, these are the newest `MOST` orders only.
    """

    begins: int
    minutes: tuple[Counter[str], ...]
    took: Counter[float]
    reasons: Counter[str]
    is_part: bool

    def total(self) -> Counter[str]:
        """The number of orders of all minutes, by status."""
        return sum(self.minutes, Counter())

    def not_ended(self) -> list[int]:
        """The number of orders that have not ended, by minute."""
        return [sum(each[status] for status in OPEN) for each in self.minutes]

    def within(self, percent: int) -> float | None:
        """The milliseconds within which `percent` of the ended orders ended; None without any.

        Infinite if that is longer than the last class.
        """
        wanted, seen = self.took.total() * percent / 100, 0
        for most in sorted(self.took):
            seen += self.took[most]
            if seen >= wanted:
                return most
        return None


async def recent(connection: AsyncConnection, now: int) -> Recent:
    """The orders of the last `MINUTES` up to `now` (milliseconds); those that Kafka dates later are in the last one."""
    begins = (now // MINUTE - MINUTES + 1) * MINUTE
    found = Recent(begins, tuple(Counter() for _ in range(MINUTES)), Counter(), Counter(), is_part=False)
    for row in (await connection.execute(_query(begins))).mappings():
        _count(found, row)
    for minute, number in await untaken.by_minute(connection, begins, MINUTE):
        found.minutes[min(minute, MINUTES - 1)][PLACED] += number
    return found._replace(is_part=found.total().total() >= MOST)


def _count(found: Recent, row: Mapping[Any, Any]) -> None:
    found.minutes[min(row["minute"], MINUTES - 1)][row["status"]] += row["number"]
    if row["ended"]:
        found.took[float("inf") if row["most"] is None else row["most"]] += row["number"]
    if row["status"] == Status.CANCELLED and row["reason"] is not None:
        found.reasons[row["reason"]] += row["number"]


def _query(begins: int) -> Select[Any]:
    """Counts orders by minute, status, reason and class of duration."""
    newest = (
        select(orders.c.placed_at, orders.c.ended_at, orders.c.status, orders.c.reason)
        .where(orders.c.placed_at >= begins)
        .order_by(orders.c.placed_at.desc())
        .limit(MOST)
    ).subquery()
    took = newest.c.ended_at - newest.c.placed_at
    classed = select(
        ((newest.c.placed_at - begins) // MINUTE).label("minute"),
        newest.c.status,
        newest.c.reason,
        newest.c.ended_at.is_not(None).label("ended"),
        case(*((took <= most, most) for most in CLASSES)).label("most"),
    ).subquery()
    return select(*classed.c, func.count().label("number")).group_by(*classed.c)
