"""The watch over the topics: partitions that are added and settings that are changed while a worker works.

A worker that starts refuses such topics. One that works goes on, since it harms nothing: it keeps to its partitions,
writes to no others, and sends on what it finds in a wrong one. To end it would only stop the orders that go well. But
it is not ready, and says why: records may lie where no worker reads them, or be deleted.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final

from saga_app.kafka.topic_admin import BrokerRefuses, BrokerUnreachable
from saga_app.kafka.topic_faults import TopicFaults, only, remedy, told

logger = logging.getLogger(__name__)

#: Seconds from one count of the partitions to the next: one request. A change of them is looked at at once.
COUNT: Final = 5.0
#: Seconds from one look to the next. A look is a question for all topics and one for their settings.
INTERVAL: Final = 30.0


class TopicWatch:
    """Compares the topics with what is wanted, again and again; `fault` is empty while they are as they must be."""

    def __init__(self, compare: Callable[[], TopicFaults], count: Callable[[], Mapping[str, int]]) -> None:
        """`count` tells how many partitions each topic has."""
        self._compare = compare
        self._count = count
        self.fault = ""

    async def run(self) -> None:
        """Looks for as long as the worker lives."""
        known: Mapping[str, int] | None = None
        looked = 0.0
        while True:
            await asyncio.sleep(min(COUNT, INTERVAL))
            try:
                counts = await asyncio.to_thread(self._count)
                if counts == known and not self.fault and time.monotonic() - looked < INTERVAL:
                    continue
                faults = await asyncio.to_thread(self._compare)
            except BrokerRefuses as error:
                # Clients that only wait for records need not notice.
                logger.log(logging.ERROR, "the broker refuses us: %s", error.words)
                continue
            except BrokerUnreachable as error:
                logger.info("the topics are not compared now: %s", error)
                continue
            known, looked = counts, time.monotonic()
            self.see(faults)

    def see(self, faults: TopicFaults) -> None:
        """Notes what harms, and logs it when it changes."""
        bad = only(faults, attrgetter("is_harmful"))
        fault = f"{told(bad)}; {remedy(bad)}" if bad else ""
        if fault and fault != self.fault:
            logger.error("this worker goes on, but the topics changed: %s", fault)
        elif self.fault and not fault:
            logger.info("the topics are as they must be again")
        self.fault = fault
