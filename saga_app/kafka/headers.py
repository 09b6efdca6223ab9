"""Record headers of our own, and how headers are read."""

from collections.abc import Sequence
from operator import methodcaller
from typing import Final

from confluent_kafka import Message

from saga_app.core.errors import Fault, Rejected
from saga_app.text import printable
from saga_app.wire import LONGEST_DETAIL, masked

#: Marks a misrouted record that a worker has sent on to its partition.
SENT_ON: Final = "saga-sent-on"
#: The person who sent a record with a command or a page. Senders write it themselves: it is a note, and no proof.
ACTOR: Final = "saga-actor"
#: The last header of a record to another topic that shall have it too: it gets the name of its sender.
BY_SENDER: Final = (ACTOR, b"")
#: Replaces the headers of an original that had too many, or unreadable ones.
HEADERS_DROPPED: Final = "saga-headers-dropped"
#: Stand instead of what a record that nobody can use brought along, and say why; see `require_fit`.
TOO_LARGE: Final = "saga-too-large"
CORRUPT: Final = "saga-corrupt-batch"
UNFIT: Final = {TOO_LARGE: Fault.TOO_LARGE, CORRUPT: Fault.CORRUPT_BATCH}
#: Headers of a record at most. Each costs a client about `COST` bytes, however short it is.
MOST_HEADERS: Final = 1_000
COST: Final = 100
#: Stands for headers of which a name is no UTF-8.
NO_UTF8: Final = (HEADERS_DROPPED, b"a name is no UTF-8")
#: If a name is no UTF-8, the client returns a broken list and leaves an exception pending. A call through
#: `methodcaller` checks for it; the interpreter's specialized call does not, and some later call raises it.
_headers = methodcaller("headers")


def actor_of(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """The person who sent the record; None if it does not say."""
    found = next((value for name, value in headers if name == ACTOR and value), None)
    return None if found is None else printable(found[:100].decode("ascii", "replace"))[:100]


def is_sent_on(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """True if the record with these headers was sent on from another partition."""
    return any(name == SENT_ON for name, _ in headers)


def headers_of(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """The record's headers. If a name is no UTF-8, or there are too many, one header says so instead."""
    try:
        headers = _headers(message) or ()
    except (SystemError, UnicodeDecodeError):
        return (NO_UTF8,)
    return headers if len(headers) <= MOST_HEADERS else (too_many(len(headers)),)


def too_many(count: int) -> tuple[str, bytes]:
    """Stands for so many headers."""
    return TOO_LARGE, b"%d headers; a record has at most %d" % (count, MOST_HEADERS)


def require_fit(headers: Sequence[tuple[str, bytes | None]]) -> None:
    """Refuses a record that was not read whole: too many headers, or a batch that unpacks to too much or is corrupt.

    Every reader makes the same of the same bytes, so all of them refuse the same records. Whoever sends such a header
    has his own record refused.
    """
    if headers and (fault := UNFIT.get(headers[0][0])):
        detail = (headers[0][1] or b"").decode("utf-8", errors="replace")
        raise Rejected(fault, masked(detail)[:LONGEST_DETAIL])
