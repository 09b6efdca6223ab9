"""The numbers of a chart: a scale with round ends, the parts of each bar, and lines without axes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from saga_app.core.labels import PLACED
from saga_app.core.rows import Status
from saga_app.orderdb import durations
from saga_app.orderdb.queries.recent import Bar, Recent

#: The height of a chart, in its own units; a bar is `STEP` wide with the gap behind it.
HEIGHT: Final = 100.0
STEP: Final = 10.0
#: The percentiles of durations that are shown.
PERCENTILES: Final = (50, 95, 99)


class BarPart(NamedTuple):
    """A part of a bar: its state, the number of orders, and where it is drawn."""

    state: str
    number: int
    y: float
    height: float


class ChartColumn(NamedTuple):
    """A bar: when it begins (milliseconds), where it is drawn, its parts from below, and all numbers in words."""

    begins: int
    x: float
    parts: tuple[BarPart, ...]
    numbers: dict[str, int]


class Chart(NamedTuple):
    """The columns, the highest value of the scale, and the times of the labels below."""

    columns: tuple[ChartColumn, ...]
    top: int
    labels: tuple[int, ...]

    @property
    def width(self) -> float:
        return len(self.columns) * STEP


class Percentile(NamedTuple):
    """A percentile of the durations of ended orders, and its course: the points of a line, `x,y` with spaces."""

    percent: int
    milliseconds: float | None
    points: str


def chart(found: Recent) -> Chart:
    """The orders of a span as stacked bars."""
    top = _round_up(max((bar.total for bar in found.bars), default=0))
    columns = tuple(_column(number, bar, top) for number, bar in enumerate(found.bars))
    labels = tuple(bar.begins for bar in found.bars[:: found.span.labelled])
    return Chart(columns, top, labels)


def percentiles(found: Recent) -> list[Percentile]:
    """How long the orders of a span took."""
    return [Percentile(each, found.within(each), _line(found, each)) for each in PERCENTILES]


def _column(number: int, bar: Bar, top: int) -> ChartColumn:
    numbers = {
        Status.COMPLETED.value: bar.statuses[Status.COMPLETED],
        Status.CANCELLED.value: bar.statuses[Status.CANCELLED],
        Status.OPEN.value: bar.open,
        PLACED: bar.statuses[PLACED],
    }
    parts, below = [], 0
    for state, each in numbers.items():
        if each:
            height = HEIGHT * each / top
            parts.append(
                BarPart(state, each, round(HEIGHT - HEIGHT * below / top - height, 2), round(height, 2))
            )
        below += each
    return ChartColumn(bar.begins, number * STEP, tuple(parts), numbers)


def _line(found: Recent, percent: int) -> str:
    values = [durations.within(bar.took, percent) for bar in found.bars]
    known: Sequence[float] = [each for each in values if each is not None and each != float("inf")]
    top = max(known, default=0.0) or 1.0
    points = [
        f"{number * STEP:g},{20 - 18 * min(each, top) / top:.1f}"
        for number, each in enumerate(values)
        if each is not None
    ]
    return " ".join(points) if len(points) > 1 else ""


def _round_up(value: int) -> int:
    """The end of a scale that goes beyond this value: 2, 4, 10, 20, 40, 100, ..., whose half is a whole number."""
    top, steps = 2, 0
    while top < value:
        top, steps = (top * 5 // 2, steps + 1) if steps % 3 == 1 else (top * 2, steps + 1)
    return top
