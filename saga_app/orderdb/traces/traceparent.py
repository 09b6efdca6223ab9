"""Who placed an order, where the shop traces: its span, as W3C Trace Context has it in a `traceparent` header."""

import re
from typing import Any, Final, NamedTuple

#: Version 00, trace, parent, flags.
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


class Parent(NamedTuple):
    """The span of whoever placed the order; not `sampled`: it wants no trace."""

    trace: int
    span: int
    sampled: bool = True

    @classmethod
    def of(cls, text: str | None) -> "Parent | None":
        """None where there is none, or none that is valid."""
        found = _TRACEPARENT.fullmatch(text or "")
        if found and int(found[1], 16) and int(found[2], 16):
            return cls(int(found[1], 16), int(found[2], 16), bool(int(found[3], 16) & _SAMPLED))
        return None


def traceparent(headers: Any) -> str | None:
    """The first valid one among a record's headers."""
    for name, value in headers or ():
        text = value.decode("ascii", "replace") if name == "traceparent" and value else None
        if Parent.of(text):
            return text
    return None
