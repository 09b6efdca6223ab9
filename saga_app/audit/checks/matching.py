"""Matches the consequences that the refold wants with those that are in the topics, by their digests.

Consequences are step requests, endings, records that were sent on, and dead letters. Each side is written as sorted
runs while partitions are read; the runs are merged at the end, so memory stays bounded.
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

#: The sides. The refold has decided the consequence.
WANTED: Final = "wanted"
#: It is in a topic below the cut `found`.
FOUND: Final = "found"
#: It is in a topic above that cut, so its cause may be above the end.
LATER: Final = "later"
#: It is in a topic and became a dead letter there, so whoever wrote it did no harm: it needs no cause.
REFUSED: Final = "refused"
#: An earlier audit has matched it.
KNOWN: Final = "known"
#: An earlier audit wanted it, and a newer row superseded it; that row may have been removed since.
SETTLED: Final = "settled"
SIDES: Final = (WANTED, FOUND, LATER, REFUSED, KNOWN, SETTLED)
#: The kinds of consequences.
STEP_REQUEST: Final = "s"
SENT_ON: Final = "o"
LETTER: Final = "l"

#: Lines that are sorted in memory.
_RUN: Final = 50_000
#: Characters of a digest.
_DIGEST: Final = 32


class Origin(NamedTuple):
    """The record that a consequence comes from, or that is the consequence; what it is; the order it is about.

    `time` is Kafka's time of the record, in milliseconds; only dead letters need it.
    """

    topic: str
    partition: int
    offset: int
    what: str
    order: str | None = None
    time: int = 0

    @property
    def place(self) -> Place:
        return self.topic, self.partition


def letter_content(place: Place, offset: int, reason: str) -> bytes:
    """The content that two copies of a dead letter share: the place of its original, and its reason."""
    return f"{place[0]} {place[1]} {offset} {reason}".encode()


class SideWriter:
    """Writes one side of one partition as sorted runs."""

    def __init__(self, folder: Path, side: str, part: str) -> None:
        self._folder = folder
        self._name = f"{side}-{part}"
        self._runs = 0
        self._lines: list[str] = []

    def add(self, kind: str, content: bytes, origin: Origin) -> None:
        """Adds one consequence."""
        digest = blake2b(content, digest_size=_DIGEST // 2).hexdigest()
        self._lines.append(f"{kind}{digest}{to_json(origin).decode()}\n")
        if len(self._lines) >= _RUN:
            self.close()

    def close(self) -> None:
        """Writes the lines that are still in memory."""
        if self._lines:
            self._lines.sort()
            path = self._folder / f"{self._name}-{self._runs}.run"
            path.write_text("".join(self._lines), "utf-8")
            self._lines.clear()
            self._runs += 1


class Consequence(NamedTuple):
    """One consequence: its digest, and the first origin that each side has for it."""

    digest: str
    origins: Mapping[str, str]

    @property
    def kind(self) -> str:
        return self.digest[0]

    @property
    def is_matched(self) -> bool:
        """True if it was wanted, and is in the topics as far as they were read."""
        sides = self.origins.keys()
        if KNOWN in sides:
            return True
        return not (sides.isdisjoint((WANTED, SETTLED)) or sides.isdisjoint((FOUND, LATER, REFUSED)))

    def origin(self, side: str) -> Origin | None:
        """The record that wanted it, or where it was found."""
        text = self.origins.get(side)
        return None if text is None else Origin(*from_json(text))


def consequences(*folders: Path) -> Iterator[Consequence]:
    """The consequences of all sides, each once, sorted by digest."""
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
    """Writes the consequences that the next audit needs into the folder of a checkpoint, if there is one.

    Of a matched consequence it keeps the digest: a late copy or a repeat of it is then known to have a cause.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._files: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        if self._folder is not None:
            for side in (WANTED, FOUND, REFUSED, KNOWN, SETTLED):
                path = self._folder / f"{side}-0.run"
                self._files[side] = self._stack.enter_context(path.open("w", encoding="utf-8"))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, consequence: Consequence, *, superseded: bool = False) -> None:
        """Adds one consequence; they must come sorted, each once."""
        if not self._files:
            return
        if consequence.is_matched:
            self._files[KNOWN].write(f"{consequence.digest}\n")
            return
        for side, origin in consequence.origins.items():
            kept = SETTLED if superseded else FOUND if side == LATER else side
            self._files[kept].write(f"{consequence.digest}{origin}")
