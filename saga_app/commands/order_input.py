"""Orders as people write them: as JSON, one per line or over many lines, or as an array; each with its line."""

import io
import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from saga_app import wire
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import OrderPlaced, Record
from saga_app.kafka.sender import read

_SPACE: Final = b" \t\r\n"


class WrittenOrder(NamedTuple):
    """An order, or why it is none, and the line on which it begins."""

    line: int
    order: OrderPlaced | Rejected


def orders_in(file: Iterable[bytes]) -> Iterator[WrittenOrder]:
    """The orders of a file as they come; an array is read whole before its first order."""
    lines = _lines(file)
    for number, line in lines:
        if not line.strip():
            continue
        if line.lstrip().startswith(b"["):
            yield from _of_array(number, line + b"".join(each for _, each in lines))
            return
        yield from _of_lines(number, line, lines)
        return


def order_of(record: Record) -> OrderPlaced:
    """The record, if it is an order; else `Rejected`."""
    if not isinstance(record, OrderPlaced):
        raise Rejected(Fault.INVALID, f"this is a {record.type}, not an order")
    return record


def _lines(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file, 1):
        # Some editors begin a file with a byte order mark.
        yield number, line.removeprefix(BOM_UTF8) if number == 1 else line


def _of_lines(number: int, line: bytes, rest: Iterator[tuple[int, bytes]]) -> Iterator[WrittenOrder]:
    """An object goes on until it is whole. One that never is ends before the next line that begins with a brace."""
    begun, text = number, line
    for following, more in rest:
        if _is_whole(text) or (more.startswith(b"{") and text.strip()):
            yield from _order(begun, text)
            begun, text = following, more
        elif not text.strip():
            begun, text = following, more
        elif text.lstrip().startswith(b"{"):
            text = text + more if len(text) <= wire.LARGEST_FROM_PEOPLE else text
        else:
            yield from _order(begun, text)
            begun, text = following, more
    yield from _order(begun, text)


def _is_whole(text: bytes) -> bool:
    if not text.rstrip().endswith(b"}"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _order(line: int, text: bytes) -> Iterator[WrittenOrder]:
    text = text.strip()
    if not text:
        return
    try:
        yield WrittenOrder(line, order_of(read(text)))
    except Rejected as rejection:
        yield WrittenOrder(line, rejection)


def _of_array(number: int, data: bytes) -> Iterator[WrittenOrder]:
    """Nothing of an array that cannot be read: what it lacks is not known."""
    try:
        elements = list(_elements(data.decode()))
    except (ValueError, RecursionError) as error:
        where = number + (error.lineno - 1 if isinstance(error, json.JSONDecodeError) else 0)
        what = f"the array of orders cannot be read, and nothing of it is sent: {error}"
        yield WrittenOrder(where, Rejected(Fault.UNREADABLE, what))
        return
    for at, text in elements:
        yield from _order(number + at, text.encode())


def _elements(text: str) -> Iterator[tuple[int, str]]:
    """The text of each element, and how many lines are before it."""
    decoder, space = json.JSONDecoder(), _SPACE.decode()
    at = text.index("[") + 1
    counted = lines = 0
    separator = "["
    while True:
        at = _behind(text, at, space)
        if text[at : at + 1] == "]" and separator == "[":
            break
        lines, counted = lines + text.count("\n", counted, at), at
        _, end = decoder.raw_decode(text, at)
        yield lines, text[at:end]
        at = _behind(text, end, space)
        separator = text[at : at + 1]
        if separator == "]":
            break
        if separator != ",":
            raise json.JSONDecodeError("a comma or the end of the array is missing", text, at)
        at += 1
    if text[at + 1 :].strip(space):
        raise json.JSONDecodeError("something stands behind the array", text, at + 1)


def _behind(text: str, at: int, space: str) -> int:
    while text[at : at + 1] and text[at] in space:
        at += 1
    return at


def open_text(text: str) -> io.BytesIO:
    """JSON that stands on the command line, as a file."""
    return io.BytesIO(text.encode("utf-8", "surrogateescape"))
