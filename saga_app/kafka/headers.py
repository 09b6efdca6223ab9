"""Headers as they are read from Kafka."""

from collections.abc import Sequence
from operator import methodcaller
from typing import Final

from confluent_kafka import Message

#: Marks a record that was sent on to its right partition once.
SENT_ON: Final = "saga-sent-on"
#: Stands for the headers of an original that had too many, or that cannot be read.
HEADERS_DROPPED: Final = "saga-headers-dropped"
#: Where a name is no UTF-8 the client returns a broken list and leaves an error behind. This way of calling it checks
#: for that; the interpreter's own, where it has become quick, does not, and some later call ends with the error.
_read = methodcaller("headers")


def headers_of(message: Message) -> Sequence[tuple[str, bytes | None]]:
    """The record's headers; where a name is no UTF-8, one that says so: the client can read none of them then."""
    try:
        return _read(message) or ()
    except (SystemError, UnicodeDecodeError):
        return ((HEADERS_DROPPED, b"a name is no UTF-8"),)
