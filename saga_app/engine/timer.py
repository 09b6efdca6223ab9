"""A timer of one worker: it sends the records that are due, and decides nothing."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

from saga_app.core.numbers import Generation
from saga_app.engine.ports import DeliveryTimedOut, GivenUp, Log
from saga_app.kafka.messages import Outgoing

logger = logging.getLogger(__name__)


class Timer(ABC):
    """Sends for the partitions that the worker holds. Each of its records may be sent twice, or late, or never.

    So a broker that does not answer ends no worker that has nothing else to send.
    """

    def __init__(self, log: Log, tick: float) -> None:
        self._log = log
        self._tick = tick
        self._generation: Generation | None = None
        self._sending = asyncio.Lock()

    def start(self, generation: Generation) -> None:
        """Sends records from now on."""
        self._generation = generation

    def stop(self) -> None:
        """Sends no more and drops everything; the next assignment loads it again."""
        self._generation = None

    async def run(self) -> None:
        """Sends what is due, again and again."""
        while True:
            await asyncio.sleep(self._tick)
            async with self._sending:
                if (generation := self._generation) is not None and (records := self._take()):
                    await self._send(records, generation)

    async def rested(self) -> None:
        """Returns when nothing is being sent."""
        async with self._sending:
            return

    async def _send(self, records: Sequence[Outgoing], generation: Generation) -> None:
        try:
            await self._log.append(records, generation)
        except GivenUp:
            # The next owner looks for itself.
            return
        except DeliveryTimedOut as error:
            logger.warning("%s: %d records are sent again: %s", type(self).__name__, len(records), error)
            self._send_again(records)

    @abstractmethod
    def _take(self) -> list[Outgoing]:
        """The records to send now; they are not due again for a while."""

    @abstractmethod
    def _send_again(self, records: Sequence[Outgoing]) -> None:
        """Makes these records due again: the broker did not answer for all of them in time."""
