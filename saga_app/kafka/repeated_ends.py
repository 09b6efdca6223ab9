"""Workers that end again and again: each tells it to the group in its client id, which any observer reads.

The client id is there in every state of the group, and for one session timeout after the worker's end.
"""

import re
from typing import Final, NamedTuple, Self

#: So many unwanted ends within so many milliseconds are told. A supervisor that waits up to 5 minutes is covered.
LEAST: Final = 3
WINDOW: Final = 15 * 60_000
#: Milliseconds after the last end for which a worker counts as one that ends again and again.
FRESH: Final = 6 * 60_000
_TOLD: Final = re.compile(r"-ended-([0-9]{1,4})-times-last-([0-9]{1,3})-at-([0-9]{1,12})$", re.ASCII)


class RepeatedEnds(NamedTuple):
    """The unwanted ends of one worker: their number, and exit code and time (milliseconds) of the last one."""

    times: int
    code: int
    at: int

    @classmethod
    def parse(cls, client_id: str) -> Self | None:
        """The ends that a client id tells; None if it tells none."""
        found = _TOLD.search(client_id)
        return None if found is None else cls(int(found[1]), int(found[2]), int(found[3]) * 1000)

    def client_id(self, name: str) -> str:
        """The client id of the worker."""
        return f"{name}-ended-{self.times}-times-last-{self.code}-at-{self.at // 1000}"

    def is_fresh(self, now: int) -> bool:
        """True if the worker has not run well for long since then."""
        return now - self.at < FRESH


def repeated(ends: list[tuple[int, int]], now: int) -> RepeatedEnds | None:
    """The sum of these unwanted ends, each a time and an exit code in their sequence; None if they are too few."""
    recent = [end for end in ends if now - end[0] < WINDOW]
    if len(recent) < LEAST:
        return None
    at, code = recent[-1]
    return RepeatedEnds(len(recent), code, at)
