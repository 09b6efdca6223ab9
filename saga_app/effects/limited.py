"""A provider that is given up after so many seconds: what became of the request is then unknown."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from saga_app.core.records import StepAnswered
from saga_app.effects.ports import Answer, Call, Effect, Provider


class Limited:
    """See `ports.Provider`; a verb that takes longer raises `TimeoutError`."""

    def __init__(self, provider: Provider, seconds: float) -> None:
        self.provider = provider
        self._seconds = seconds

    async def do(self, call: Call) -> Answer:
        async with asyncio.timeout(self._seconds):
            return await self.provider.do(call)

    async def prevent(self, call: Call) -> Answer:
        async with asyncio.timeout(self._seconds):
            return await self.provider.prevent(call)

    async def undo(self, call: Call) -> Answer:
        async with asyncio.timeout(self._seconds):
            return await self.provider.undo(call)

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        async with asyncio.timeout(self._seconds):
            return await self.provider.event(body, headers)

    def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        """As long as it takes: a person asks."""
        return self.provider.ledger(since)
