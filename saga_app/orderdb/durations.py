"""Classes of durations, some ten for each power of ten, and percentiles of what was counted in them."""

from collections.abc import Mapping
from typing import Final

_STEPS: Final = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)
#: The upper bounds of the classes in milliseconds, from 1 ms to more than two hours.
CLASSES: Final = tuple(sorted({round(step * 10.0**power) for power in range(7) for step in _STEPS}))
#: Stands for everything that is longer than the last class.
LONGER: Final = 10**12
_BELOW: Final = dict(zip(CLASSES, (0, *CLASSES), strict=False))


def within(counts: Mapping[int, int], percent: float) -> float | None:
    """The milliseconds within which `percent` of these durations lie; None without any.

    `counts` has how many are in each class. Inside a class they are taken to lie evenly, so the result is right within
    a seventh. Infinite if it is longer than the last class.
    """
    wanted, seen = sum(counts.values()) * percent / 100, 0
    for most in sorted(counts):
        number = counts[most]
        if number and seen + number >= wanted:
            if most == LONGER:
                return float("inf")
            below = _BELOW[most]
            return below + float(most - below) * max(0.0, wanted - seen) / number
        seen += number
    return None
