"""Patience: how long an order may take before it is given up, and when it is asked for again until then.

The patience of an order is spread over its tries: the first nudge comes after 30 seconds, each later one after twice
as long, up to 8 minutes or a sixteenth of the patience, and the last deadline falls at its end. So a patience of a week
costs some thirty nudges, and the default of 930 seconds five.
"""

from collections.abc import Iterator
from typing import Final

#: Milliseconds until the first nudge; each later try waits twice as long, up to the longest delay.
FIRST_DELAY: Final = 30_000
LONGEST_DELAY: Final = 480_000
#: The longest delay of a long patience is this share of it: fewer nudges while a provider is down for hours.
SHARE: Final = 16
#: Seconds that an order is patient if neither it nor a policy says otherwise: 30 + 60 + 120 + 240 + 480.
DEFAULT: Final = 930
#: Seconds in a week, the longest patience: payment providers hold money about as long.
LONGEST: Final = 7 * 24 * 3600


def delays(patience: int | None) -> Iterator[int]:
    """Milliseconds of each try, until the order is given up; their sum is its patience, in seconds."""
    rest = (DEFAULT if patience is None else patience) * 1000
    longest = max(LONGEST_DELAY, rest // SHARE)
    delay = min(FIRST_DELAY, longest)
    # No nudge comes right before the end: a rest of half a delay is added to the delay before it.
    while 2 * rest > 3 * delay:
        yield delay
        rest -= delay
        delay = min(2 * delay, longest)
    yield rest


def tries(patience: int | None) -> int:
    """How often the order is asked for before it is given up."""
    return sum(1 for _ in delays(patience))


def delay(patience: int | None, attempt: int) -> int:
    """Milliseconds that an order may rest at this try (from 0); behind the last one, as compensations are nudged."""
    for number, each in enumerate(delays(patience)):
        if number == attempt:
            return each
    return compensation_delay(attempt)


def compensation_delay(attempt: int) -> int:
    """Milliseconds that an order which is being cancelled may rest: nobody is patient then."""
    longest: int = min(FIRST_DELAY << min(attempt, 10), LONGEST_DELAY)
    return longest


def is_last(patience: int | None, attempt: int) -> bool:
    """True if the order is given up when this try (from 0) brings no ending."""
    return attempt + 1 >= tries(patience)
