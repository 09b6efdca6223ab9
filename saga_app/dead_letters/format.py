"""The format of dead letters: a record that could not be applied, with its reason, so that a person can replay it.

The topic holds three kinds of records. A letter ends with the six headers of `_POSITION`, whatever headers the
original brought along. A marker settles a letter: it begins with `saga-replayed` if the letter was sent again, and with
`saga-dismissed` if somebody said that nothing is to be done. All else is foreign.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple, Self

from saga_app import topics, wire
from saga_app.core.errors import Fault, Rejected
from saga_app.kafka.headers import BY_SENDER, HEADERS_DROPPED, UNFIT
from saga_app.kafka.messages import Header, Message, Outgoing, located

REASON: Final = "saga-reason"
DETAIL: Final = "saga-detail"
TOPIC: Final = "saga-topic"
PARTITION: Final = "saga-partition"
OFFSET: Final = "saga-offset"
TIME: Final = "saga-time"
#: The last headers of a letter.
_POSITION: Final = (REASON, DETAIL, TOPIC, PARTITION, OFFSET, TIME)
#: A header of a replayed record: the id of its letter. If the record fails again, the new letter has the header too.
REPLAY_OF: Final = "saga-replay-of"
#: The headers of a marker: the id of the replayed letter, the digest of the sent bytes, and their places.
REPLAYED: Final = "saga-replayed"
SENT_SHA256: Final = "saga-sent-sha256"
SENT_TO: Final = "saga-sent-to"
#: The headers of the other marker: the id of the dismissed letter, and why.
DISMISSED: Final = "saga-dismissed"
NOTE: Final = "saga-note"
#: At most so many bytes of the original's headers are kept.
MOST_HEADER_BYTES: Final = 64 * 1024
#: At most so many bytes of its key, of a value that could not be read, and of a record that could.
MOST_KEY_BYTES: Final = 64 * 1024
MOST_VALUE_BYTES: Final = wire.LARGEST_FROM_PEOPLE
MOST_RECORD_BYTES: Final = wire.LARGEST_STEP_REQUEST
#: So much is always kept, and of what is longer the hash and the first bytes.
MOST_BRIEF_BYTES: Final = 1024
#: A header of ours before the position: the first bytes of a value of which only the hash is kept.
HEAD: Final = "saga-head"
#: Faults of bytes that are no record.
_UNREAD: Final = frozenset({Fault.UNREADABLE, Fault.INVALID, Fault.TOO_LARGE, Fault.CORRUPT_BATCH})
#: The end of a head, which may be the beginning of a card number.
_CUT: Final = re.compile(rb"[^A-Za-z\"{}\[\],:]*\Z")

#: Headers as clients give them.
Headers = Sequence[Header]
_LAST_OFFSET: Final = 2**63 - 1
_ID: Final = re.compile(
    r"([a-z_]{1,40})(?::([0-9]{1,9}):|\[([0-9]{1,9})\]@)([0-9]{1,19})",
    re.ASCII,
)


class LetterId(NamedTuple):
    """The id of a dead letter: the place of its original, written TOPIC:PARTITION:OFFSET.

    Other tools write TOPIC[PARTITION]@OFFSET, which is read too.
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return located((self.topic, self.partition), self.offset)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parses an id; None if the text is none."""
        found = _ID.fullmatch(text)
        if found is None or found[1] not in topics.INBOXES or int(found[4]) > _LAST_OFFSET:
            return None
        return cls(found[1], int(found[2] or found[3]), int(found[4]))


def dead_letter(
    topic: str, partition: int, message: Message, rejection: Rejected, *, brief: bool = False
) -> Outgoing:
    """The dead letter of a message: its bytes, key and headers, the reason, and its place, which makes it unique.

    With `brief` it keeps only `MOST_BRIEF_BYTES` of each, and of what is longer the hash and the head.
    """
    position: list[Header] = [
        (REASON, str(rejection.fault).encode()),
        (DETAIL, wire.masked(rejection.detail).encode("utf-8", errors="replace")),
        (TOPIC, topic.encode()),
        (PARTITION, str(partition).encode()),
        (OFFSET, str(message.offset).encode()),
        (TIME, str(message.time).encode()),
    ]
    most = MOST_BRIEF_BYTES if brief else longest_value(rejection.fault)
    return Outgoing(
        topics.DEAD_LETTERS,
        wire.harmless(message.key, MOST_BRIEF_BYTES if brief else MOST_KEY_BYTES),
        wire.harmless(message.value, most),
        headers=(
            *_kept(message, MOST_BRIEF_BYTES if brief else MOST_HEADER_BYTES),
            *_head(message.value, most),
            *position,
        ),
    )


def longest_value(fault: Fault) -> int:
    """Bytes of the longest value that a letter with this reason keeps; a record that was read can be sent again."""
    return MOST_VALUE_BYTES if fault in _UNREAD else MOST_RECORD_BYTES


def _head(value: bytes | None, most: int) -> list[Header]:
    if value is None or len(value) <= most:
        return []
    return [(HEAD, wire.harmless(_CUT.sub(b"", value[:MOST_BRIEF_BYTES])) or b"")]


def _kept(message: Message, most: int) -> list[Header]:
    headers = [each for each in message.headers if each[0] not in UNFIT]
    size = sum(len(name) + len(value or b"") for name, value in headers)
    if size > most:
        return [*_replay_of(headers), (HEADERS_DROPPED, str(size).encode())]
    return [(wire.masked(name), wire.harmless(value) or b"") for name, value in headers]


def _replay_of(headers: Headers) -> list[Header]:
    letter = replay_of(headers)
    return [(REPLAY_OF, str(letter).encode())] if letter else []


def letter_place(headers: Headers | None) -> LetterId | None:
    """The id of the letter that has these headers; None for a marker or a foreign record."""
    last = headers[-len(_POSITION) :] if headers else ()
    if tuple(name for name, _ in last) != _POSITION:
        return None
    return LetterId.parse(":".join(_text(value) for _, value in last[2:5]))


def marked_place(headers: Headers | None) -> LetterId | None:
    """The id of the letter that the marker with these headers settles; None for a letter or a foreign record."""
    if not headers or headers[0][0] not in (REPLAYED, DISMISSED) or letter_place(headers) is not None:
        return None
    return LetterId.parse(_text(headers[0][1]))


def replay_of(headers: Headers) -> LetterId | None:
    """The id of the letter whose replay this record is, or the original of this letter."""
    found = [LetterId.parse(_text(value)) for name, value in headers if name == REPLAY_OF]
    return found[-1] if found else None


def marker(letter: LetterId, partition: int, value: bytes, sent_to: Sequence[LetterId]) -> Outgoing:
    """The marker of a replay; it goes to the letter's own partition of `dead_letters`, so it is behind the letter."""
    headers = (
        (REPLAYED, str(letter).encode()),
        (SENT_SHA256, sha256(value).hexdigest().encode()),
        (SENT_TO, " ".join(map(str, sent_to)).encode()),
        BY_SENDER,
    )
    return Outgoing(topics.DEAD_LETTERS, str(letter).encode(), None, partition, headers)


def dismissal(letter: LetterId, partition: int, note: str) -> Outgoing:
    """The marker of a dismissal; it goes where that of a replay goes."""
    note_bytes = note.encode("utf-8", errors="replace")
    headers = ((DISMISSED, str(letter).encode()), (NOTE, note_bytes), BY_SENDER)
    return Outgoing(topics.DEAD_LETTERS, str(letter).encode(), None, partition, headers)


def headers_of_original(headers: Headers) -> Headers:
    """The headers of a letter's original."""
    return headers[: -len(_POSITION)]


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", errors="replace")
