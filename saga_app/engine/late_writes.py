"""Late writes: rows that another worker wrote late, behind what this one had restored already; and lost changelogs.

The next restore writes the younger row again behind an old one, but compaction must not come before it: that keeps the
row which was written last. So a worker that finds late writes ends, and restores at its next start, long before
`min.compaction.lag.ms` is over.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from confluent_kafka import KafkaException

from saga_app.core.numbers import Generation, Offset
from saga_app.engine.assignment import Assignment
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.ports import Store
from saga_app.kafka.messages import Place

logger = logging.getLogger(__name__)

#: Seconds from one look to the next: more than any round takes, and much less than the compaction lag of a day.
INTERVAL: Final = 600.0
#: Seconds from one question for the ends to the next. It costs two requests, and finds a changelog that is gone.
QUESTION: Final = 15.0


class LateWrites:
    """Compares, again and again, where changelogs end with what this worker holds of them."""

    def __init__(
        self,
        assignment: Assignment,
        stores: Mapping[Place, Store],
        ends: Callable[[Iterable[Place]], Mapping[Place, Offset]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ends` tells where changelogs end, and raises `Fatal` if one has lost rows."""
        self._assignment = assignment
        self._stores = stores
        self._ask = ends
        #: Where the changelogs ended at the last look, and of which generation it was.
        self._ends: Mapping[Place, Offset] = {}
        self._seen: Generation | None = None
        self._clock = clock
        self._looked = clock()

    async def run(self) -> None:
        """Ends the process where something that was written one look ago is still not held: it was not ours."""
        while True:
            await asyncio.sleep(min(QUESTION, INTERVAL))
            if (generation := self._assignment.held) is None:
                continue
            try:
                ends = await asyncio.to_thread(self._ask, list(self._stores))
            except (KafkaException, TimeoutError) as error:
                logger.info("where the changelogs end is not known now: %s", error)
                continue
            if generation != self._assignment.held or self._clock() - self._looked < INTERVAL:
                continue
            self._looked = self._clock()
            for table, partition in self.look(generation, ends):
                raise Fatal(
                    Exit.LATE_WRITES,
                    f"{table}[{partition}]: another worker wrote rows behind those that were restored; the next "
                    "start restores again and repairs them",
                )

    def look(self, generation: Generation, ends: Mapping[Place, Offset]) -> list[Place]:
        """The places whose changelogs had more, one look ago, than is held now."""
        known = self._ends if generation == self._seen else {}
        self._ends, self._seen = ends, generation
        held = {place: store.reached for place, store in self._stores.items()}
        return sorted(place for place, end in known.items() if held.get(place, end) < end)
