"""A provider that is asked for its own steps only, and given up after so many seconds: what became of it is unknown."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Final

from saga_app.core.records import Outcome, StepAnswered, StepName
from saga_app.effects.ports import Answer, Call, Effect, Provider

logger = logging.getLogger(__name__)

#: The code of an answer about a step that is not the provider's.
WRONG_STEP: Final = "wrong_step"
#: The code of an answer of a provider that cannot capture.
NO_CAPTURE: Final = "no_capture"


class Limited:
    """See `ports.Provider`; a verb that takes longer raises `TimeoutError`. `steps`: all, if none is named.

    An order says who is asked for its payment, so that it could name a carrier.
    """

    def __init__(self, provider: Provider, seconds: float, steps: Collection[StepName] = ()) -> None:
        self.provider = provider
        self._seconds = seconds
        self._steps = frozenset(steps or StepName)

    async def do(self, call: Call) -> Answer:
        return await self._asked(call, self.provider.do)

    async def prevent(self, call: Call) -> Answer:
        return await self._asked(call, self.provider.prevent)

    async def undo(self, call: Call) -> Answer:
        return await self._asked(call, self.provider.undo)

    async def capture(self, call: Call) -> Answer:
        verb = getattr(self.provider, "capture", None)
        if verb is None:
            logger.error(
                "order %s is captured after shipping, and its provider has no such verb: it may have taken the money "
                "before. The order waits: see docs/how-to/settle-doubt.md",
                call.order.order_id,
            )
            return Answer(Outcome.UNKNOWN, call.reference, NO_CAPTURE)
        return await self._asked(call, verb)

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        async with asyncio.timeout(self._seconds):
            return await self.provider.event(body, headers)

    def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        """As long as it takes: a person asks."""
        return self.provider.ledger(since)

    async def _asked(self, call: Call, verb: Callable[[Call], Awaitable[Answer]]) -> Answer:
        if call.step not in self._steps:
            logger.error(
                "order %s names a provider for %s that is for %s only; the order waits",
                call.order.order_id,
                call.step,
                ", ".join(sorted(self._steps)),
            )
            return Answer(Outcome.UNKNOWN, code=WRONG_STEP)
        async with asyncio.timeout(self._seconds):
            return await verb(call)
