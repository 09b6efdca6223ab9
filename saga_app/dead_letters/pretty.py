"""Bytes as lines of text: JSON with a line for each member, text as it is, other bytes as hexadecimal."""

import re
from collections.abc import Iterator
from typing import Final

from saga_app import wire
from saga_app.core.errors import Rejected

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def lines(value: bytes) -> Iterator[str]:
    """The lines, without line ends. They may hold control characters."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return _hexadecimal(value)
    try:
        wire.parse(value)
    except Rejected:
        return iter(text.split("\n"))
    return _set_out(text)


def _set_out(text: str) -> Iterator[str]:
    """Valid JSON with one member to a line; numbers and strings stay as they were written."""
    line, depth, before = "", 0, ""
    for part in _TOKEN.findall(text):
        if part in ("}", "]"):
            depth -= 1
            if before not in ("{", "["):
                yield line
                line = "  " * depth
        elif before in ("{", "[", ","):
            yield line
            line = "  " * depth
        line += ": " if part == ":" else part
        depth += part in ("{", "[")
        before = part
    yield line


def _hexadecimal(value: bytes) -> Iterator[str]:
    for start in range(0, len(value), 16):
        row = value[start : start + 16]
        shown = "".join(chr(each) if 32 <= each < 127 else "." for each in row)
        yield f"{start:08x}  {row.hex(' '):<47}  {shown}"
