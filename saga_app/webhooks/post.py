"""One try: an event is signed and posted, and the answer is looked at."""

import asyncio
import socket
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from standardwebhooks import Webhook

from saga_app.redaction import has_card_number
from saga_app.text import printable
from saga_app.webhooks.deliveries import MOST_ANSWER, WebhookDelivery
from saga_app.webhooks.endpoints import WebhookEndpoint, is_private_address

#: Seconds for one try, and bytes of an answer that are read.
TIME_LIMIT: Final = 15.0
MOST_BYTES: Final = 4 * 1024
USER_AGENT: Final = "checkout-saga-webhooks"
#: The endpoint is gone for good, by Standard Webhooks: nothing is tried again.
GONE: Final = 410


class TriedDelivery(NamedTuple):
    """The result of one try: taken, or why not; `wait` is how many milliseconds the endpoint asks for."""

    is_taken: bool
    answer: str
    wait: int = 0
    is_final: bool = False


class PublicResolver(ThreadedResolver):
    """Finds public addresses alone: a name that leads into our own network is refused, whenever it is looked up."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if any(is_private_address(each["host"]) for each in found):
            raise OSError(None, f"{host} is a private address; with private = true it is allowed")
        return found


class Poster:
    """Posts events to one endpoint; made in an event loop."""

    def __init__(self, endpoint: WebhookEndpoint) -> None:
        self._endpoint = endpoint
        self._signers = [Webhook(secret) for secret in endpoint.secrets]
        resolver = ThreadedResolver() if endpoint.is_private else PublicResolver()
        # Settings say who is asked: no variable of a proxy does.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=0),
            timeout=aiohttp.ClientTimeout(total=TIME_LIMIT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, delivery: WebhookDelivery) -> TriedDelivery:
        """Tries once. Only a status from 200 to 299 means that the endpoint has taken it; it raises nothing."""
        try:
            async with self._session.post(
                self._endpoint.url,
                data=delivery.body.encode(),
                headers=self._headers(delivery),
                allow_redirects=False,
            ) as response:
                text = await _beginning(response)
                status = response.status
                wait = _wait(response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return TriedDelivery(False, printable(f"{type(error).__name__}: {error}")[:MOST_ANSWER])
        if 200 <= status < 300:
            return TriedDelivery(True, str(status))
        return TriedDelivery(False, f"{status} {text}".strip()[:MOST_ANSWER], wait, status == GONE)

    def _headers(self, delivery: WebhookDelivery) -> dict[str, str]:
        at = datetime.now(UTC)
        signed = [each.sign(delivery.id, at, delivery.body) for each in self._signers]
        return {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signed),
        }


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The beginning of the answer, on one line; the rest is not read."""
    body = bytearray()
    with suppress(aiohttp.ClientError, asyncio.TimeoutError):
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) >= MOST_BYTES:
                response.close()
                break
    line = " ".join(body[:MOST_BYTES].decode("utf-8", "replace").split())
    return "(it has a card number)" if has_card_number([line]) else printable(line)[:MOST_ANSWER]


def _wait(retry_after: Any) -> int:
    """`Retry-After`, in milliseconds from now; 0 if there is none that can be read."""
    if retry_after.strip().isdecimal():
        return min(int(retry_after.strip()[:9]), 10**9) * 1000
    with suppress(ValueError, TypeError):
        seconds = (parsedate_to_datetime(retry_after).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        return int(max(seconds, 0.0) * 1000)
    return 0
