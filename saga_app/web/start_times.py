"""The start times of workers, asked for at the addresses that they have told their group.

A worker says the time of its start at `/livez`, which wants no login. Each is asked once in its life, since a member of
the group that starts again has another name.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import aiohttp
from pydantic_core import from_json
from yarl import URL

from saga_app import urls

#: Seconds that a worker has for its answer, and after which one that gave none is asked again.
TIMEOUT: Final = 1.0
AGAIN: Final = 60.0
#: Workers that are asked at once.
MOST_AT_ONCE: Final = 16
#: Bytes of an answer.
_MOST_BYTES: Final = 1024


class StartTimes:
    """By the names of members, as far as they are known."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._asked_at: dict[str, float] = {}
        self._asking = asyncio.Lock()

    async def of(self, addresses: Mapping[str, str]) -> Mapping[str, int]:
        """The start of each of these members that tells it, in milliseconds since 1970."""
        async with self._asking:
            for gone in self._asked_at.keys() - addresses.keys():
                del self._asked_at[gone]
                self._known.pop(gone, None)
            now = time.monotonic()
            wanted = [
                name
                for name in addresses
                if name not in self._known and now - self._asked_at.get(name, -AGAIN) >= AGAIN
            ]
            if wanted:
                await self._ask({name: addresses[name] for name in wanted})
            return dict(self._known)

    async def _ask(self, addresses: Mapping[str, str]) -> None:
        places = asyncio.Semaphore(MOST_AT_ONCE)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

            async def one(name: str, address: str) -> None:
                async with places:
                    self._asked_at[name] = time.monotonic()
                    started = await _started(session, address)
                if started is not None:
                    self._known[name] = started

            await asyncio.gather(*(one(name, address) for name, address in addresses.items()))


async def _started(session: aiohttp.ClientSession, address: str) -> int | None:
    """The start that this worker tells; None if it tells none, or does not answer."""
    try:
        url = URL(address).origin() / urls.IS_ALIVE.lstrip("/")
        async with asyncio.timeout(TIMEOUT), session.get(url, allow_redirects=False) as response:
            told = await response.content.read(_MOST_BYTES)
            found = _parsed(told).get("started")
    except (TimeoutError, OSError, ValueError, aiohttp.ClientError):
        return None
    return found if type(found) is int and 0 < found < 2**53 else None


def _parsed(data: bytes) -> dict[str, object]:
    found = from_json(data)
    return found if isinstance(found, dict) else {}
