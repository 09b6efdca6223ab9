"""What must be in the topics, and what is: requests, endings, records sent on, dead letters; each side as digests.

All sides are written as sorted runs while partitions are read, and merged at the end, so memory stays bounded.
"""

import heapq
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple, Self, TextIO

from pydantic_core import from_json, to_json

from saga_app.kafka.messages import Place

#: The sides: what was decided; what is in the topics; what came behind the limit of this audit, so that its cause may
#: come behind the end; and what an earlier audit has seen on both sides.
WANTED: Final = "wanted"
FOUND: Final = "found"
LATER: Final = "later"
KNOWN: Final = "known"
#: What was wanted, and is superseded by a row that may have been removed since.
SETTLED: Final = "settled"
SIDES: Final = (WANTED, FOUND, LATER, KNOWN, SETTLED)
#: The kinds of things that are matched.
STEP_REQUEST: Final = "s"
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


class SideWriter:
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


class Consequence(NamedTuple):
    """One thing: its digest, and the first origin that each side has for it."""

    digest: str
    origins: Mapping[str, str]

    @property
    def kind(self) -> str:
        return self.digest[0]

    @property
    def is_matched(self) -> bool:
        """Whether it was wanted, and is in the topics as far as they were read."""
        sides = self.origins.keys()
        return KNOWN in sides or not (sides.isdisjoint((WANTED, SETTLED)) or sides.isdisjoint((FOUND, LATER)))

    def origin(self, side: str) -> Origin | None:
        """Who wanted it, or where it was found."""
        text = self.origins.get(side)
        return None if text is None else Origin(*from_json(text))


def consequences(*folders: Path) -> Iterator[Consequence]:
    """Everything that was wanted, found or known, once, sorted by digest."""
    with ExitStack() as stack:

        def lines(side: str) -> Iterator[tuple[str, str, str]]:
            paths = [path for folder in folders for path in folder.glob(f"{side}-*.run")]
            runs = [stack.enter_context(path.open(encoding="utf-8")) for path in paths]
            for line in heapq.merge(*runs):
                yield line[: _DIGEST + 1], side, line[_DIGEST + 1 :]

        for digest, group in groupby(heapq.merge(*map(lines, SIDES)), key=itemgetter(0)):
            origins: dict[str, str] = {}
            for _, side, origin in group:
                origins.setdefault(side, origin)
            yield Consequence(digest, origins)


class Carried:
    """What the next audit must know of the pairs, in the folder of a checkpoint; nothing is written without one.

    Of what was wanted and found only that it was: a late copy or a repeat of it comes from somewhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._files: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        if self._folder is not None:
            for side in (WANTED, FOUND, KNOWN, SETTLED):
                path = self._folder / f"{side}-0.run"
                self._files[side] = self._stack.enter_context(path.open("w", encoding="utf-8"))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, pair: Consequence, *, superseded: bool = False) -> None:
        """Pairs come sorted, each once."""
        if not self._files:
            return
        if pair.is_matched:
            self._files[KNOWN].write(f"{pair.digest}\n")
            return
        for side, origin in pair.origins.items():
            kept = SETTLED if superseded else WANTED if side == WANTED else FOUND
            self._files[kept].write(f"{pair.digest}{origin}")
