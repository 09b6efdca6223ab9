"""The files of a checkpoint: a line for each row of a partition, with its kind and its key before it.

Keys and rows have no tabs and no line ends, so `grep` and `cut` can search them.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from saga_app.audit.findings import Findings
from saga_app.audit.scratch import Item, ScratchStore
from saga_app.kafka.messages import Place

_COUNTS: Final = "counts"
#: Rows that are put into a store at once.
_AT_A_TIME: Final = 5_000


def part(folder: Path, kind: str, place: Place) -> Path:
    """The path of a place's file."""
    return folder / f"{kind}-{place[0]}-{place[1]}.part"


def write(path: Path, kinds: Mapping[str, Iterable[Item]]) -> None:
    """Writes the rows of all kinds."""
    with path.open("wb") as file:
        for kind, items in kinds.items():
            head = kind.encode()
            file.writelines(b"%s\t%s\t%s\n" % (head, *item) for item in items)


def load(path: Path, stores: Mapping[str, ScratchStore]) -> dict[str, dict[bytes, bytes]]:
    """Puts each row into the store of its kind; returns the rows, few, of all other kinds."""
    others: dict[str, dict[bytes, bytes]] = {}
    lines = _lines(path)
    while chunk := list(islice(lines, _AT_A_TIME)):
        found: dict[str, dict[bytes, bytes]] = {}
        for kind, key, value in chunk:
            found.setdefault(kind, {})[key] = value
        for kind, rows in found.items():
            if kind in stores:
                stores[kind].write(rows, stores[kind].reached)
            else:
                others.setdefault(kind, {}).update(rows)
    return others


def counts(findings: Findings) -> Mapping[str, Iterable[Item]]:
    """The figures of one partition, as rows of a file."""
    figures = findings.figures["I8"]
    return {_COUNTS: [(name.encode(), str(number).encode()) for name, number in figures.items()]}


def resume_counts(kept: Mapping[str, Mapping[bytes, bytes]], findings: Findings) -> None:
    """Adds the figures of an earlier audit."""
    for name, number in kept.get(_COUNTS, {}).items():
        findings.count("I8", name.decode(), int(number))


def _lines(path: Path) -> Iterator[tuple[str, bytes, bytes]]:
    with path.open("rb") as file:
        for line in file:
            kind, key, value = line[:-1].split(b"\t", 2)
            yield kind.decode(), key, value
