"""A filter of dead letters: by reason, inbox, order, time, and whether they are settled."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from saga_app import wire
from saga_app.core.errors import Rejected
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter


class LetterFilter(NamedTuple):
    """A filter; every field that is given must fit. Times in milliseconds, `until` not included."""

    ids: frozenset[LetterId] = frozenset()
    reasons: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    order: str | None = None
    since: int | None = None
    until: int | None = None
    unsettled: bool = False

    @property
    def is_everything(self) -> bool:
        """True if the filter takes every letter."""
        return self == LetterFilter()

    def takes(self, letter: Letter, settled: Mapping[LetterId, object]) -> bool:
        """True if the filter takes this letter."""
        return (
            (not self.ids or letter.id in self.ids)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.topics or letter.id.topic in self.topics)
            and (self.since is None or letter.time >= self.since)
            and (self.until is None or letter.time < self.until)
            and not (self.unsettled and letter.id in settled)
            and (self.order is None or names(letter.key, letter.value, self.order))
        )


def names(key: bytes | None, value: bytes | None, wanted: str) -> bool:
    """True if the key or an id in the payload is `wanted`; if it cannot be parsed, if the payload has it as a word."""
    if key == wanted.encode("utf-8", "surrogateescape"):
        return True
    try:
        return wanted in _ids(wire.parse(value or b""))
    except Rejected:
        word = rb"(?<![A-Za-z0-9._-])%s(?![A-Za-z0-9._-])" % re.escape(
            wanted.encode("utf-8", "surrogateescape")
        )
        return re.search(word, value or b"") is not None


def _ids(fields: dict[str, Any]) -> Iterator[str]:
    waiting: list[tuple[str, Any]] = list(fields.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend((name, each) for each in value)
        elif name in wire.ID_FIELDS:
            yield str(value)
