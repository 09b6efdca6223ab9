"""Record headers of our own, and how headers are read."""

from collections.abc import Sequence
from operator import methodcaller
from typing import Final

from confluent_kafka import Message

#: Marks a misrouted record that a worker has sent on to its partition.
SENT_ON: Final = "saga-sent-on"
#: Replaces the headers of an original that had too many, or unreadable ones.
HEADERS_DROPPED: Final = "saga-headers-dropped"
#: If a name is no UTF-8, the client returns a broken list and leaves an exception pending. A call through
#: `methodcaller` checks for it; the interpreter's specialized call does not, and some later call raises it.
_headers = methodcaller("headers")


def is_sent_on(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """True if the record with these headers was sent on from another partition."""
    return any(name == SENT_ON for name, _ in headers)


def headers_of(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """The record's headers. If a name is no UTF-8 the client can read none; one header then says so."""
    try:
        return _headers(message) or ()
    except (SystemError, UnicodeDecodeError):
        return ((HEADERS_DROPPED, b"a name is no UTF-8"),)
