"""Medians, spreads, percentiles and ratios."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple, Self


class Spread(NamedTuple):
    """Several runs of the same: the middle, and how far they are apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (above 0, up to 1) of the values does not exceed: nearest rank."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


def ratio(above: Mapping[int, float], below: Mapping[int, float]) -> Spread | None:
    """One over the other, both by round: only what ran in the same round is compared, since machines drift."""
    shared = [above[number] / below[number] for number in above if below.get(number)]
    return Spread.of(shared) if shared else None
