"""The watch over open transactions: an inbox whose records wait behind one looks empty to its worker."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import KafkaException

from saga_app.kafka.messages import Place
from saga_app.kafka.open_transactions import HeldBack
from saga_app.times import now

logger = logging.getLogger(__name__)

#: Seconds from one look to the next. A look is two questions for the ends of the worker's inbox partitions.
INTERVAL: Final = 30.0
#: Milliseconds after which a transaction is no longer one that somebody is about to end.
LASTING: Final = 30_000


class HeldBackWatch:
    """Looks again and again; `why` is empty while no transaction stays open in the worker's inboxes."""

    def __init__(self, look: Callable[[], Mapping[Place, HeldBack]], clock: Callable[[], int] = now) -> None:
        self._look = look
        self._clock = clock
        self.why = ""

    async def run(self) -> None:
        """Looks for as long as the worker lives."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                found = await asyncio.to_thread(self._look)
            except (KafkaException, TimeoutError) as error:
                logger.info("open transactions are not known now: %s", error)
                continue
            self.see(found)

    def see(self, found: Mapping[Place, HeldBack]) -> None:
        """Notes the transactions that last, and logs when the first comes and the last ends."""
        at = self._clock()
        lasting = [
            f"{topic}[{partition}]: {held.records:,} behind an open transaction, for {(at - held.since) / 1000:.0f} s"
            for (topic, partition), held in sorted(found.items())
            if held.since is not None and at - held.since >= LASTING
        ]
        if lasting and not self.why:
            logger.warning("records wait: %s (docs/how-to/end-a-transaction.md)", "; ".join(lasting))
        elif self.why and not lasting:
            logger.info("no transaction holds records back any more")
        self.why = "; ".join(lasting)
