"""The JSON documents in a file: one, a list, or one on each line."""

from codecs import BOM_UTF8
from typing import Any

import jiter

from saga_app.core.errors import Fault, Rejected
from saga_app.wire import masked


def documents(data: bytes) -> list[Any]:
    """Every document of a file, lists taken apart; numbers with a point are `Decimal`. `Rejected` if it is no JSON."""
    data = data.removeprefix(BOM_UTF8)
    if not data.strip():
        raise Rejected(Fault.UNREADABLE, "the file is empty")
    try:
        found = [_parsed(data)]
    except ValueError as error:
        found = _by_line(data, error)
    return [each for document in found for each in (document if isinstance(document, list) else [document])]


def inside(document: Any, *keys: str) -> Any:
    """The value below these keys; None if one of them is missing."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def nodes(connection: Any) -> list[Any] | None:
    """The nodes of a GraphQL connection, in either of its spellings; None if it is none."""
    if isinstance(connection, list):
        return connection
    if isinstance(found := inside(connection, "nodes"), list):
        return found
    if isinstance(edges := inside(connection, "edges"), list):
        return [inside(edge, "node") for edge in edges]
    return None


def _by_line(data: bytes, whole: ValueError) -> list[Any]:
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    found = []
    for number, line in lines:
        try:
            found.append(_parsed(line))
        except ValueError as error:
            if not found:
                # The first line alone is none either: then it is one document, with an error in it.
                raise Rejected(Fault.UNREADABLE, masked(f"not JSON: {whole}")) from None
            raise Rejected(Fault.UNREADABLE, masked(f"line {number}: not JSON: {error}")) from None
    return found


def _parsed(data: bytes) -> Any:
    return jiter.from_json(data, allow_inf_nan=False, float_mode="decimal", cache_mode="keys")
