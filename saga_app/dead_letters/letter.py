"""A dead letter as it is read from its topic, and the marker of a replay. No Kafka here."""

import re
from base64 import b64encode
from typing import Any, Final, NamedTuple, Protocol

from saga_app.dead_letters import format as letter_format
from saga_app.dead_letters.format import Headers, LetterId
from saga_app.kafka.headers import headers_of
from saga_app.times import written

_TIME: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
#: A letter keeps this hash instead of bytes that held a card number, or were too many.
HASH: Final = re.compile(rb"sha256:[0-9a-f]{64}")


class Stored(Protocol):
    """A record of `dead_letters`, as confluent-kafka gives it."""

    def partition(self) -> int | None: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Any: ...
    def timestamp(self) -> tuple[int, int]: ...


class Settlement(NamedTuple):
    """A replay or a dismissal of a letter, at a time in Kafka's milliseconds.

    A replay has the SHA-256 of the sent bytes, and their places, with spaces. A dismissal has a note.
    """

    time: int
    sha256: str = ""
    sent_to: str = ""
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        if self.note is not None:
            return {"time": written(self.time), "note": self.note}
        return {"time": written(self.time), "sha256": self.sha256, "sent_to": self.sent_to.split()}

    def in_words(self) -> str:
        """The replay or dismissal, with its time."""
        if self.note is not None:
            return f"dismissed at {written(self.time)}: {self.note}"
        return f"replayed at {written(self.time)} ({self.sent_to})"


class Letter(NamedTuple):
    """A record that could not be applied. Times are Kafka's, in milliseconds.

    `sent` is the time of the original, `time` that of the letter; `store` is the letter's partition of `dead_letters`.
    """

    id: LetterId
    reason: str
    detail: str
    sent: int
    time: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    store: int

    @property
    def replay_of(self) -> LetterId | None:
        """The id of the letter whose replay failed and became this one."""
        return letter_format.replay_of(self.headers)

    @property
    def is_hidden(self) -> bool:
        """True if only a hash was kept: the original held a card number, or was too large."""
        return self.value is not None and HASH.fullmatch(self.value) is not None

    def as_json(self, settled: list[Settlement]) -> dict[str, Any]:
        """As JSON, with how it was settled; bytes as text, or in base64 under another name if they are no UTF-8."""
        return {
            "id": str(self.id),
            **self.id._asdict(),
            "reason": self.reason,
            "detail": self.detail,
            "time": written(self.time),
            "sent": written(self.sent),
            **bytes_as_json("key", self.key),
            **bytes_as_json("value", self.value),
            "hidden": self.is_hidden,
            "headers": [{"name": name, **bytes_as_json("value", value)} for name, value in self.headers],
            "replay_of": str(self.replay_of) if self.replay_of else None,
            "replays": [each.as_json() for each in settled if each.note is None],
            "dismissals": [each.as_json() for each in settled if each.note is not None],
            "settled": bool(settled),
        }


def read_letter(stored: Stored) -> Letter | None:
    """The letter; None if the record is a marker, or no worker wrote it."""
    headers = headers_of(stored)
    place = letter_format.letter_place(headers)
    if place is None:
        return None
    # Of two headers with one name the last one counts: the original may have had such headers too.
    own = {name: text(value) for name, value in headers}
    sent = own[letter_format.TIME]
    return Letter(
        place,
        own[letter_format.REASON],
        own[letter_format.DETAIL],
        int(sent) if _TIME.fullmatch(sent) else 0,
        stored.timestamp()[1],
        stored.key(),
        stored.value(),
        letter_format.headers_of_original(headers),
        stored.partition() or 0,
    )


def read_marker(stored: Stored) -> tuple[LetterId, Settlement] | None:
    """The id of the settled letter, and how it was settled; None if the record is no marker."""
    headers = headers_of(stored)
    place = letter_format.marked_place(headers)
    if place is None:
        return None
    own, time = {name: text(value) for name, value in headers}, stored.timestamp()[1]
    if letter_format.DISMISSED in own:
        return place, Settlement(time, note=own.get(letter_format.NOTE, ""))
    sha256 = own.get(letter_format.SENT_SHA256, "")
    return place, Settlement(time, sha256, own.get(letter_format.SENT_TO, ""))


def text(value: bytes | None) -> str:
    """Bytes as text; bytes that are no UTF-8 as \\xNN."""
    return (value or b"").decode("utf-8", errors="backslashreplace")


def bytes_as_json(name: str, value: bytes | None) -> dict[str, str | None]:
    """Bytes as text under this name; in base64 under another one if they are no UTF-8."""
    if value is None:
        return {name: None}
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(value).decode()}
