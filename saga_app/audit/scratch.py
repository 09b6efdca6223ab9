"""The scratch stores of an audit: any number of rows in bounded memory, in a folder that is removed afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from struct import Struct
from typing import Final, Self

from saga_app.core.numbers import FIRST, Offset
from saga_app.core.rows import is_tombstone
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka.messages import Place
from saga_app.private_files import private_folder

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

#: Bytes of the rows that a store keeps in memory: with 128 partitions, all stores together keep 160 MiB at most.
MOST_IN_MEMORY: Final = 64 * 1024
#: The lengths of key and row, in a store's file.
_LENGTHS: Final = Struct(">II")

Item = tuple[bytes, bytes]


def order_and_segment(order_id: str, segment: str | None) -> bytes:
    """The key of an evicted row. It has the segment, because an id may be used again in a later one."""
    return f"{order_id} {segment}".encode()


class ScratchStore:
    """A store of few rows is a dictionary, kept as one file; from `MOST_IN_MEMORY` bytes on it is a database.

    A database takes 60 ms to make, fill, close and remove, and an audit of 60 orders has 150 stores. See `ports.Store`.
    """

    inbox = None

    def __init__(self, path: Path, memory: Memory, *, read_only: bool) -> None:
        self._path = path
        self._file = path.with_name(f"{path.name}.rows")
        self._memory = memory
        self._read_only = read_only
        #: Not yet looked for if it is None.
        self._rows: RocksStore | dict[bytes, bytes] | None = None
        self._size = 0
        self._is_written = False
        self._reached = FIRST

    @property
    def reached(self) -> Offset:
        """As `write` has said in this process."""
        return self._reached

    def get(self, key: bytes) -> bytes | None:
        """The row of this key."""
        return self._found().get(key)

    def scan(self, prefix: bytes = b"") -> Iterator[Item]:
        """Rows whose key begins so, in the order of keys, as they are now."""
        found = self._found()
        if isinstance(found, RocksStore):
            return found.scan(prefix)
        return iter(sorted(row for row in found.items() if row[0].startswith(prefix)))

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        """Rows in one batch; a tombstone removes its row."""
        self._reached = reached
        if not rows:
            return
        found = self._found()
        if isinstance(found, dict):
            for key, row in rows.items():
                self._put(found, key, row)
            self._is_written = True
            if self._size > MOST_IN_MEMORY:
                self._make_database(found, reached)
        else:
            found.write(rows, reached, inbox)

    def close(self) -> None:
        """Closes the database, or writes the file if there is a new row."""
        if isinstance(self._rows, RocksStore):
            self._rows.close()
        elif self._is_written and self._rows is not None:
            private_folder(self._file.parent)
            self._file.write_bytes(b"".join(map(_packed, self._rows.items())))

    def _found(self) -> RocksStore | dict[bytes, bytes]:
        if self._rows is None:
            if self._path.exists():
                self._rows = RocksStore(self._path, self._memory, read_only=self._read_only)
            else:
                data = self._file.read_bytes() if self._file.exists() else b""
                self._rows, self._size = dict(_unpacked(data)), len(data)
        return self._rows

    def _put(self, few: dict[bytes, bytes], key: bytes, row: bytes) -> None:
        known = few.pop(key, None)
        self._size -= 0 if known is None else len(_packed((key, known)))
        if not is_tombstone(row):
            few[key] = row
            self._size += len(_packed((key, row)))

    def _make_database(self, few: dict[bytes, bytes], reached: Offset) -> None:
        self._rows = RocksStore(self._path, self._memory, read_only=False)
        self._rows.write(few, reached)
        self._file.unlink(missing_ok=True)


def _packed(row: Item) -> bytes:
    return _LENGTHS.pack(*map(len, row)) + b"".join(row)


def _unpacked(data: bytes) -> Iterator[Item]:
    at = 0
    while at < len(data):
        key, row = _LENGTHS.unpack_from(data, at)
        at += _LENGTHS.size
        yield data[at : at + key], data[at + key : at + key + row]
        at += key + row


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
