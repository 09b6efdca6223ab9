"""The scratch stores of an audit: any number of rows in bounded memory, in a folder that is removed afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from saga_app.core.numbers import FIRST, Offset
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka.messages import Place

#: The kinds of stores; there is one of each kind for a place.
FOLDED: Final = "folded"  # the table, refolded from the inbox
LOGGED: Final = "logged"  # the table, restored from its changelog
REACHED: Final = "reached"  # the same, only as far as a worker's store claims to have read
TURNED: Final = "turned"  # when an order's row first said that it goes back
ASKED: Final = "asked"  # when and at which offset a service was first asked to undo an order
EVICTED: Final = "evicted"  # rows of orders as they were when they were evicted, by order and segment
COMMITTED: Final = "committed"  # rows that changed behind the committed offset, as they were there
REMOVED: Final = "removed"  # keys of removed rows that a changelog may still have, and since which version

#: A key of a `TURNED` store: it is there if the changelog has gaps, so that the first row may be missing.
GAPS: Final = b"\0gaps"
#: Another one: Kafka's time of the last row that a rebuild has written.
REBUILT_AT: Final = b"\0rebuilt"
#: A value of such a store: the order goes back, and a row that a worker wrote again does not tell since when.
UNKNOWN_TIME: Final = b"?"

Item = tuple[bytes, bytes]


def order_and_segment(order_id: str, segment: str | None) -> bytes:
    """The key of an evicted row. It has the segment, because an id may be used again in a later one."""
    return f"{order_id} {segment}".encode()


class ScratchStore:
    """A store that has no database before its first row: most stores of a small audit stay empty. See `ports.Store`."""

    inbox = None

    def __init__(self, path: Path, memory: Memory, *, read_only: bool) -> None:
        self._path = path
        self._memory = memory
        self._read_only = read_only
        self._database: RocksStore | None = None
        self._reached = FIRST

    @property
    def reached(self) -> Offset:
        """As `write` has said in this process."""
        return self._reached

    def get(self, key: bytes) -> bytes | None:
        """The row of this key."""
        found = self._found()
        return None if found is None else found.get(key)

    def scan(self, prefix: bytes = b"") -> Iterator[Item]:
        """Rows whose key begins so, in the order of keys."""
        found = self._found()
        return iter(()) if found is None else found.scan(prefix)

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        """Rows in one batch."""
        self._reached = reached
        if rows:
            self._opened().write(rows, reached, inbox)

    def close(self) -> None:
        """Closes the database, if there is one."""
        if self._database is not None:
            self._database.close()

    def _found(self) -> RocksStore | None:
        return self._opened() if self._database is not None or self._path.exists() else None

    def _opened(self) -> RocksStore:
        if self._database is None:
            self._database = RocksStore(self._path, self._memory, read_only=self._read_only)
        return self._database


class Stores:
    """Opens stores below a folder and closes all of them at the end. Several processes may open them read-only."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self._memory = Memory()
        self._open: dict[tuple[str, Place], ScratchStore] = {}
        self._stack = ExitStack()

    def store(self, kind: str, place: Place) -> ScratchStore:
        """The store of this kind and place; the same one each time."""
        found = self._open.get((kind, place))
        if found is None:
            path = self._folder / f"{kind}-{place[0]}-{place[1]}"
            found = ScratchStore(path, self._memory, read_only=self._read_only)
            self._stack.callback(found.close)
            self._open[kind, place] = found
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def side_by_side(
    left: Iterator[Item], right: Iterator[Item]
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Merges two sorted scans: each key, with the value of each side or None."""
    mine, other = next(left, None), next(right, None)
    while mine is not None or other is not None:
        if other is None or (mine is not None and mine[0] < other[0]):
            assert mine is not None
            yield mine[0], mine[1], None
            mine = next(left, None)
        elif mine is None or other[0] < mine[0]:
            yield other[0], None, other[1]
            other = next(right, None)
        else:
            yield mine[0], mine[1], other[1]
            mine, other = next(left, None), next(right, None)
