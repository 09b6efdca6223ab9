"""A row that another worker has is asked for there, by a request of our own.

Stock Faust repeats the request of a browser as it came: cookies, tokens and all, to the address that a member of the
group has named, and that member may repeat it again (`docs/reference/faust.md#c18`).
"""

import asyncio
import json
from collections.abc import Collection
from typing import Final

import aiohttp
from faust.web.exceptions import ServiceUnavailable
from yarl import URL

#: The header of such a request: its receiver answers it, or says that it cannot.
FORWARDED: Final = "Saga-Forwarded"
#: Seconds that the other worker has, and bytes of its answer: more than a row may have.
TIMEOUT: Final = 5.0
MOST_BYTES: Final = 4 * 1024 * 1024
#: Answers that are passed on: the row, no such row, ask again.
_PASSED_ON: Final = (200, 404, 503)


async def ask_member(member: URL, raw_path: str, members: Collection[URL]) -> tuple[int, str]:
    """The status and the JSON text that this member of the group has for the path. Raises `ServiceUnavailable`."""
    if member not in members or member.scheme not in ("http", "https") or member.user or not member.host:
        raise ServiceUnavailable(f"{member.origin() if member.host else member} is no worker of this group")
    url = URL.build(scheme=member.scheme, host=member.host, port=member.port, path=raw_path, encoded=True)
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(
                url, headers={FORWARDED: "1", "Accept": "application/json"}, allow_redirects=False
            ) as response,
        ):
            text = (await _content(response)).decode()
            json.loads(text)
            status = response.status
    except (TimeoutError, OSError, ValueError, aiohttp.ClientError) as error:
        raise ServiceUnavailable(
            f"the worker at {member.host}:{member.port}, which has the row, gave no answer in JSON "
            f"({type(error).__name__}); ask again in a moment"
        ) from error
    if status not in _PASSED_ON:
        raise ServiceUnavailable(
            f"the worker at {member.host}:{member.port}, which has the row, answered {status}"
        )
    return status, text


async def _content(response: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
    return bytes(found)
