"""Reads the form of an action. Programs send all kinds of bodies, so everything but a plain small form is a 400."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from saga_app.web.connections import PATIENCE

#: Bytes of a form, and its fields.
MOST_BYTES: Final = 16 * 1024
MOST_FIELDS: Final = 16
_KIND: Final = "application/x-www-form-urlencoded"


async def read_form(request: web.Request, most: int = MOST_BYTES) -> Mapping[str, str]:
    """The fields of a form of at most so many bytes.

    Raises `HTTPBadRequest`, `HTTPRequestEntityTooLarge` or `HTTPRequestTimeout`.
    """
    if request.content_length is None:
        raise _bad("The length of the form is missing.")
    if request.content_length > most:
        raise web.HTTPRequestEntityTooLarge(most, request.content_length)
    if request.content_type != _KIND or request.headers.get("Content-Encoding", "identity") != "identity":
        raise _bad(f"A form is sent as {_KIND}, and not compressed.")
    try:
        async with asyncio.timeout(PATIENCE):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"The form did not come within {PATIENCE:.0f} s.") from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise _bad("The form is not what its headers say.") from None
    try:
        pairs = parse_qsl(body.decode("ascii"), True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise _bad("The form is no text in UTF-8, or has too many fields.") from None
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise _bad("No field of a form has a NUL.")
    return dict(pairs)


def _bad(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=text)
