"""Queries about the orders of the last minutes or hours: their number, how long they took, why some were cancelled."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.labels import OPEN, PLACED
from saga_app.core.rows import Status
from saga_app.orderdb import durations
from saga_app.orderdb.queries import untaken
from saga_app.orderdb.schema import order_minutes

MINUTE: Final = 60_000


class TimeSpan(NamedTuple):
    """A time up to now: its words, its number of bars, the minutes of each, and the bars from one label to the next."""

    words: str
    bars: int
    minutes: int
    labelled: int

    @property
    def width(self) -> int:
        """The milliseconds of a bar."""
        return self.minutes * MINUTE


#: By their names in addresses; the first one is usual.
SPANS: Final[Mapping[str, TimeSpan]] = {
    "15m": TimeSpan("15 minutes", 15, 1, 3),
    "1h": TimeSpan("hour", 60, 1, 10),
    "1d": TimeSpan("day", 96, 15, 16),
}


class Bar(NamedTuple):
    """The orders that were placed in one part of the span: by status, and the ended ones by class of duration."""

    begins: int
    statuses: Counter[str]
    took: Counter[int]

    @property
    def total(self) -> int:
        return self.statuses.total()

    @property
    def open(self) -> int:
        """Orders that workers have taken, and that have not ended."""
        return sum(self.statuses[status] for status in OPEN if status != PLACED)


class Recent(NamedTuple):
    """The bars of a span, the oldest first; the last one is not over. `reasons` are those of cancelled orders."""

    span: TimeSpan
    bars: tuple[Bar, ...]
    reasons: Counter[str]

    @property
    def begins(self) -> int:
        """The time of the first bar, in milliseconds since 1970."""
        return self.bars[0].begins

    def total(self) -> Counter[str]:
        """The number of orders of all bars, by status."""
        return sum((bar.statuses for bar in self.bars), Counter())

    def within(self, percent: float) -> float | None:
        """The milliseconds within which so many of a hundred ended orders ended; see `durations.within`."""
        return durations.within(sum((bar.took for bar in self.bars), Counter()), percent)


async def recent(connection: AsyncConnection, now: int, span: TimeSpan = SPANS["15m"]) -> Recent:
    """The orders of the span up to `now` (milliseconds); those that Kafka dates later are in the last bar."""
    begins = (now // span.width - span.bars + 1) * span.width
    bars = tuple(Bar(begins + number * span.width, Counter(), Counter()) for number in range(span.bars))
    found = Recent(span, bars, Counter())
    which = ((order_minutes.c.minute - begins // MINUTE) // span.minutes).label("bar")
    kinds = (which, order_minutes.c.status, order_minutes.c.reason, order_minutes.c.took)
    query = select(*kinds, func.sum(order_minutes.c.number).label("number"))
    query = query.where(order_minutes.c.minute >= begins // MINUTE).group_by(*kinds)
    for row in await connection.execute(query):
        bar, number = bars[min(row.bar, span.bars - 1)], int(row.number)
        bar.statuses[row.status] += number
        if row.took:
            bar.took[row.took] += number
        if row.status == Status.CANCELLED and row.reason:
            found.reasons[row.reason] += number
    for place, number in await untaken.by_minute(connection, begins, span.width):
        bars[min(place, span.bars - 1)].statuses[PLACED] += number
    return found
