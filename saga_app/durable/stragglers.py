"""Stragglers: rows that another worker wrote late, behind what this one had restored already.

The next restore writes the younger row again behind an old one, but compaction must not come before it: that keeps the
row which was written last. So a worker that finds stragglers ends, and restores at its next start, long before
`min.compaction.lag.ms` is over.
"""

from collections.abc import Mapping
from typing import Final

from saga_app.durable.ports import Place

#: Seconds from one look to the next: more than any round takes, and much less than the compaction lag of a day.
INTERVAL: Final = 600.0


class Stragglers:
    """Compares, again and again, where changelogs end with what this worker holds of them."""

    def __init__(self) -> None:
        self._ends: Mapping[Place, int] = {}
        self._generation = -1

    def look(self, generation: int, ends: Mapping[Place, int], reached: Mapping[Place, int]) -> list[Place]:
        """The places where, one look after, something that was written then is still not held: it was not ours."""
        known = self._ends.items() if generation == self._generation else ()
        self._ends, self._generation = dict(ends), generation
        return sorted(place for place, end in known if reached.get(place, end) < end)
