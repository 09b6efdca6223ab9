"""The parent span of an order's trace, from the `traceparent` header of W3C Trace Context.

The copy keeps the header, so this module needs no package of OpenTelemetry.
"""

import re
from typing import Any, Final, NamedTuple

#: Version 00, trace, parent, flags.
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


class Parent(NamedTuple):
    """The span of the client that placed the order. If it is not `sampled`, the client wants no trace."""

    trace: int
    span: int
    sampled: bool = True

    @classmethod
    def of(cls, text: str | None) -> "Parent | None":
        """The parent in the header's text; None if the text is missing or not valid."""
        found = _TRACEPARENT.fullmatch(text or "")
        if found and int(found[1], 16) and int(found[2], 16):
            return cls(int(found[1], 16), int(found[2], 16), bool(int(found[3], 16) & _SAMPLED))
        return None


def traceparent(headers: Any) -> str | None:
    """The first valid `traceparent` among a record's headers."""
    for name, value in headers or ():
        text = value.decode("ascii", "replace") if name == "traceparent" and value else None
        if Parent.of(text):
            return text
    return None
