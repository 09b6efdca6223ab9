"""Restore: bring a partition's rows up to its changelogs before the first decision.

The end of the balances' changelog is taken first and read no further; the journal's end is taken after it, so
balances never run ahead of the journal. Per key the row with the highest version wins, also over what is on disk: a
worker that lost its partitions may have written old rows behind new ones. Such a key is written again by its new
owner, because compaction keeps the row that was written last.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from saga_app.core.rows import version_of
from saga_app.durable.ports import Outgoing, Shelf, contiguous


class Logged(NamedTuple):
    """One row in a changelog."""

    offset: int
    key: bytes
    value: bytes


class Changelog(Protocol):
    """A changelog partition, to be read."""

    topic: str
    partition: int

    def end(self) -> int:
        """The offset after the last row."""

    def read(self, start: int, end: int) -> Iterator[Sequence[Logged]]:
        """The rows from `start` up to, not including, `end`, in chunks."""


class Restored(NamedTuple):
    """What a restore did: rows read, and rows that must be written again."""

    rows: int
    repairs: dict[bytes, bytes]


def restore(changelog: Changelog, end: int, shelf: Shelf) -> Restored:
    """Reads the changelog from where the shelf has reached, up to `end`."""
    read = 0
    stale: dict[bytes, int] = {}
    for chunk in changelog.read(shelf.reached, end):
        rows = _highest(chunk, shelf, stale)
        read += len(chunk)
        # Until a key is written again, the next restore must meet its stale row again.
        shelf.write(rows, min(stale.values(), default=chunk[-1].offset + 1))
    if not stale:
        shelf.write({}, max(end, shelf.reached))
    return Restored(read, {key: shelf.get(key) or b"" for key in stale})


def _highest(chunk: Iterable[Logged], shelf: Shelf, stale: dict[bytes, int]) -> dict[bytes, bytes]:
    """The chunk's rows that are not older than what is known; notes where an old row lies behind a newer one."""
    rows: dict[bytes, bytes] = {}
    for offset, key, value in chunk:
        known = rows.get(key) or shelf.get(key)
        if known is not None and version_of(known) > version_of(value):
            stale.setdefault(key, offset)
            continue
        stale.pop(key, None)
        if known is None or version_of(known) < version_of(value):
            rows[key] = value
    return rows


def repair_records(changelog: Changelog, restored: Restored) -> list[Outgoing]:
    """The rows that are to be written again."""
    return [Outgoing(changelog.topic, key, row, changelog.partition) for key, row in restored.repairs.items()]


def repaired(shelf: Shelf, end: int, offsets: Sequence[int]) -> None:
    """The repairs are in the log: what was read up to `end` is held, and what follows it without a gap."""
    shelf.write({}, contiguous(max(end, shelf.reached), offsets))
