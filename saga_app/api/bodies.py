"""Reads bodies: whole, small, in time, and as records of the wire."""

import asyncio
import re
from hashlib import sha256
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from saga_app import wire
from saga_app.api.access import Caller
from saga_app.api.problems import Problem
from saga_app.core.fields import Model
from saga_app.wire import LARGEST_FROM_PEOPLE, FieldsRejected, decode_as, encode, parse
from saga_app.wrong_fields import each_wrong_field

#: Seconds in which a body must be there.
PATIENCE: Final = 10.0
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
#: Printable characters, as such or as a string of structured fields (RFC 8941), as draft-ietf-httpapi-idempotency-key
#: wants it.
_KEY: Final = re.compile(r'"?([!#-~]{1,255})"?', re.ASCII)
#: Hexadecimal digits of an id that is made from a key: as many bits as a UUID.
_DIGITS: Final = 32
Body = TypeVar("Body", bound=Model)
Fields = TypeVar("Fields", bound=BaseModel)


async def read_body(request: Request) -> bytes:
    """The body of a request with JSON. Raises `Problem`."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Another site's page could send any other type without asking first.
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "the Content-Type is application/json")
    return await read_bytes(request)


async def read_bytes(request: Request) -> bytes:
    """The body of a request of any type. Raises `Problem` if it is too large, too slow or compressed."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "compressed", "no body here is compressed")
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_FROM_PEOPLE:
                    raise _too_large()
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT, "too_slow", f"the body did not come within {PATIENCE:.0f} s"
        ) from None
    return bytes(body)


async def read_fields(request: Request, model: type[Fields]) -> Fields:
    """The fields in the body; a body that is empty has none. Raises `Problem` and `Rejected`."""
    if request.headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in request.headers:
        body = b"{}"
    else:
        body = await read_body(request)
    try:
        return model.model_validate(parse(body))
    except ValidationError as error:
        raise FieldsRejected(each_wrong_field(error)) from None


async def read_record(request: Request, model: type[Body], by: Caller, id_field: str) -> Body:
    """The record in the body, as a worker would accept it. Raises `Problem` and `Rejected`.

    If the body has no id, it follows from the Idempotency-Key.
    """
    given = id_of_key(request, by)
    record = decode_as(model, await read_body(request), **({} if given is None else {id_field: given}))
    # Defaults are filled in before a record is sent, so it may be longer than the typed one.
    wire.decode(encode(record))  # type: ignore[arg-type]
    return record


def id_of_key(request: Request, by: Caller) -> str | None:
    """An id that follows from the caller and the key alone: every process makes the same one. None without a key."""
    text = request.headers.get(IDEMPOTENCY_KEY)
    if text is None:
        return None
    found = _KEY.fullmatch(text)
    if found is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "invalid", f"an {IDEMPOTENCY_KEY} has 1 to 255 printable characters"
        )
    digest = sha256(b"\0".join((by.name.encode(), found[1].encode()))).hexdigest()
    return f"key-{digest[:_DIGITS]}"


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"a body has at most {LARGEST_FROM_PEOPLE} bytes"
    )
