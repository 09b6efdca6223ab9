"""Record headers of our own, and how headers are read."""

from collections.abc import Sequence
from operator import methodcaller
from typing import Final

from confluent_kafka import Message

from saga_app.text import printable

#: Marks a misrouted record that a worker has sent on to its partition.
SENT_ON: Final = "saga-sent-on"
#: The person who sent a record with a command or a page. Senders write it themselves: it is a note, and no proof.
ACTOR: Final = "saga-actor"
#: Replaces the headers of an original that had too many, or unreadable ones.
HEADERS_DROPPED: Final = "saga-headers-dropped"
#: If a name is no UTF-8, the client returns a broken list and leaves an exception pending. A call through
#: `methodcaller` checks for it; the interpreter's specialized call does not, and some later call raises it.
_headers = methodcaller("headers")


def actor_of(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """The person who sent the record; None if it does not say."""
    found = next((value for name, value in headers if name == ACTOR and value), None)
    return None if found is None else printable(found[:100].decode("ascii", "replace"))[:100]


def headers_of(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """The record's headers. If a name is no UTF-8 the client can read none; one header then says so."""
    try:
        return _headers(message) or ()
    except (SystemError, UnicodeDecodeError):
        return ((HEADERS_DROPPED, b"a name is no UTF-8"),)
