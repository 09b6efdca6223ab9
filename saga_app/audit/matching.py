"""What must be in the topics, and what is: requests, endings, records sent on, dead letters; each side as digests.

Both sides are written as sorted runs while partitions are read, and merged at the end, so memory stays bounded.
"""

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from pydantic_core import from_json, to_json

from saga_app.durable.ports import Place

#: The two sides.
WANTED: Final = "wanted"
FOUND: Final = "found"
#: The kinds of things that are matched.
SLIP: Final = "s"
SENT_ON: Final = "o"
LETTER: Final = "l"

#: Lines that are sorted in memory.
_RUN: Final = 50_000
#: Characters of a digest.
_DIGEST: Final = 32


class Origin(NamedTuple):
    """Where something comes from, what it is, and which order it is about."""

    topic: str
    partition: int
    offset: int
    what: str
    order: str | None = None

    @property
    def place(self) -> Place:
        return self.topic, self.partition


class Side:
    """One part of one side: what one partition wants, or what was found in it."""

    def __init__(self, folder: Path, side: str, part: str) -> None:
        self._folder = folder
        self._name = f"{side}-{part}"
        self._runs = 0
        self._lines: list[str] = []

    def add(self, kind: str, content: bytes, origin: Origin) -> None:
        """Notes that this is wanted, or found."""
        digest = blake2b(content, digest_size=_DIGEST // 2).hexdigest()
        self._lines.append(f"{kind}{digest}{to_json(origin).decode()}\n")
        if len(self._lines) >= _RUN:
            self.close()

    def close(self) -> None:
        """Everything is written."""
        if self._lines:
            self._lines.sort()
            path = self._folder / f"{self._name}-{self._runs}.run"
            path.write_text("".join(self._lines), "utf-8")
            self._lines.clear()
            self._runs += 1


class Pair(NamedTuple):
    """One thing: the first who wanted it, and where it was first found."""

    kind: str
    wanted: Origin | None
    found: Origin | None


def pairs(folder: Path) -> Iterator[Pair]:
    """Everything that was wanted or found, once."""
    with ExitStack() as stack:

        def lines(side: str, mark: str) -> Iterator[tuple[str, str, str]]:
            runs = [stack.enter_context(path.open(encoding="utf-8")) for path in folder.glob(f"{side}-*.run")]
            for line in heapq.merge(*runs):
                yield line[: _DIGEST + 1], mark, line[_DIGEST + 1 :]

        both = heapq.merge(lines(FOUND, FOUND), lines(WANTED, WANTED))
        for digest, group in groupby(both, key=lambda line: line[0]):
            first: dict[str, str] = {}
            for _, side, origin in group:
                first.setdefault(side, origin)
            yield Pair(digest[0], _origin(first.get(WANTED)), _origin(first.get(FOUND)))


def _origin(text: str | None) -> Origin | None:
    return None if text is None else Origin(*from_json(text))
