"""What a checkpoint holds of one partition: a line for each row, with its kind and its key before it.

Keys and rows have no tabs and no line ends, so the lines can be searched with the tools that everybody has.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from saga_app.audit.findings import Findings
from saga_app.audit.scratch import Item
from saga_app.engine.stores.rocks import RocksStore
from saga_app.kafka.messages import Place

_COUNTS: Final = "counts"
#: Rows that are written at once.
_AT_A_TIME: Final = 5_000


def part(folder: Path, kind: str, place: Place) -> Path:
    """The file of this place."""
    return folder / f"{kind}-{place[0]}-{place[1]}.part"


def write(path: Path, kinds: Mapping[str, Iterable[Item]]) -> None:
    """Writes everything, kind by kind."""
    with path.open("wb") as file:
        for kind, items in kinds.items():
            head = kind.encode()
            file.writelines(b"%s\t%s\t%s\n" % (head, *item) for item in items)


def load(path: Path, stores: Mapping[str, RocksStore]) -> dict[str, dict[bytes, bytes]]:
    """Puts rows on the stores of their kinds; the few of all other kinds are returned."""
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
    """What was counted of the records of one partition."""
    figures = findings.figures["I8"]
    return {_COUNTS: [(name.encode(), str(number).encode()) for name, number in figures.items()]}


def resume_counts(kept: Mapping[str, Mapping[bytes, bytes]], findings: Findings) -> None:
    """Counts on from there."""
    for name, number in kept.get(_COUNTS, {}).items():
        findings.count("I8", name.decode(), int(number))


def _lines(path: Path) -> Iterator[tuple[str, bytes, bytes]]:
    with path.open("rb") as file:
        for line in file:
            kind, key, value = line[:-1].split(b"\t", 2)
            yield kind.decode(), key, value
