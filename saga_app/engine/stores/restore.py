"""Restore: bring a partition's rows up to its changelogs before the first decision.

The end of the balances' changelog is taken first and read no further; the journal's end is taken after it, so
balances never run ahead of the journal. Nor may they lag behind a low watermark, since what is below it is not
decided again: the journal's end must have been the same before.

Per key the row with the highest version wins, also over what is on disk: a worker that lost its partitions may have
written old rows behind new ones. Such a key is written again by its new owner, because compaction keeps the row that
was written last.

A tombstone is a row too, of its version. When it is itself compacted away, the low watermarks still say which rows
must not be there (`docs/explanation/retention.md`). Those rows are known at the end, with the last low
watermark, and stay on disk until their tombstones are written: the disk never runs ahead of the changelog.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from saga_app.core.numbers import FIRST, NEVER, Offset, Version
from saga_app.core.retention.low_watermarks import LowWatermarks
from saga_app.core.row_keys import KeyKind
from saga_app.core.rows import Tombstone, version_of
from saga_app.engine.ports import Store, contiguous, written_again
from saga_app.engine.stores.changelog import Changelog, Logged
from saga_app.kafka.messages import Outgoing

#: Keys that are remembered until the last low watermark is known; where there are more, all rows are looked at
#: once more.
MOST_KEYS: Final = 100_000
_CLOSED: Final = KeyKind.CLOSED.prefix


class Stale(NamedTuple):
    """Where the first old row lies behind a newer one, which is this."""

    offset: Offset
    winner: bytes


@dataclass
class Seen:
    """The keys that a restore met, as far as it remembers them, and the newest version."""

    keys: set[bytes] = field(default_factory=set)
    newest: Version = NEVER

    @property
    def all_keys(self) -> set[bytes] | None:
        """Every key that was met, or None if there were too many."""
        return self.keys if len(self.keys) <= MOST_KEYS else None

    def add(self, chunk: Sequence[Logged]) -> None:
        """Remembers these rows."""
        self.newest = max(self.newest, max(version_of(row.value) for row in chunk))
        if len(self.keys) <= MOST_KEYS:
            self.keys.update(row.key for row in chunk)


class Restored(NamedTuple):
    """The result of a restore: rows read, and rows that must be written again."""

    rows: int
    repairs: dict[bytes, bytes]


def restore(
    changelog: Changelog, end: Offset, store: Store, begin: Offset = FIRST, seen: Seen | None = None
) -> Restored:
    """Reads the changelog from where the store has reached, or from where it begins, up to `end`.

    The store has reached the end only when all is done: a restore that was stopped begins again where this one did.
    """
    began = following = max(store.reached, begin)
    seen = Seen() if seen is None else seen
    whole, read = True, 0
    stale: dict[bytes, Stale] = {}
    for chunk in changelog.read(began, end):
        store.write(_highest(chunk, store, stale), began)
        read += len(chunk)
        whole = whole and chunk[0].offset == following and chunk[-1].offset == following + len(chunk) - 1
        following = Offset(chunk[-1].offset + 1)
        seen.add(chunk)
    # Where nothing was compacted away, every tombstone was met: only rows behind them can be too many.
    few = whole and following >= end
    late = _below_low_watermark(store, seen.all_keys if few else None) if began < end else {}
    # Until a key is written again, the next restore must meet its stale row again.
    reached = began if late else min((each.offset for each in stale.values()), default=max(end, began))
    store.write({}, reached)
    return Restored(read, {**{key: each.winner for key, each in stale.items()}, **late})


def _highest(chunk: Iterable[Logged], store: Store, stale: dict[bytes, Stale]) -> dict[bytes, bytes]:
    """The chunk's rows that are not older than what is known; notes where an old row lies behind a newer one."""
    rows: dict[bytes, bytes] = {}
    for offset, key, value in chunk:
        known = rows.get(key) or store.get(key)
        if known is not None and version_of(known) > version_of(value):
            stale.setdefault(key, Stale(offset, known))
            continue
        stale.pop(key, None)
        if known is None or version_of(known) < version_of(value):
            rows[key] = value
    return rows


def _below_low_watermark(store: Store, keys: Iterable[bytes] | None) -> dict[bytes, bytes]:
    """Tombstones for the rows, of these keys or of all, that must not be there any more."""
    low_watermarks = LowWatermarks(store.scan(KeyKind.LOW_WATERMARK.prefix))
    if not low_watermarks:
        return {}
    rows = store.scan(b"") if keys is None else ((key, store.get(key) or b"") for key in sorted(keys))
    tombstone = Tombstone(low_watermarks.version).encode()
    late = {key: tombstone for key, row in rows if low_watermarks.is_below(key, row)}
    if keys is not None and any(key.startswith(_CLOSED) for key in late):
        # The worker that purged these orders was stopped before their tombstones, and no other row names them.
        return _below_low_watermark(store, None)
    return late


def repair_records(changelog: Changelog, restored: Restored) -> list[Outgoing]:
    """The rows to write again; a row that names orders comes after theirs, in case only some are written."""
    repairs = sorted(restored.repairs.items(), key=lambda repair: repair[0].startswith(_CLOSED))
    return [written_again(changelog.topic, changelog.partition, key, row) for key, row in repairs]


def lacking(store: Store, seen: Seen, restored: Restored) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a store that its changelog, read from the beginning, does not have; all if too many keys were met.

    Tombstones for those that must not be there any more: an earlier restore may have met them before their tombstones.
    """
    keys, late = seen.all_keys or frozenset[bytes](), _below_low_watermark(store, None)
    return (
        (key, late.get(key, row))
        for key, row in store.scan(b"")
        if key not in keys and key not in restored.repairs
    )


def repaired(store: Store, end: Offset, repairs: Mapping[bytes, bytes], offsets: Sequence[Offset]) -> None:
    """The repairs are in the log: they are held, what was read up to `end`, and what follows it without a gap."""
    store.write(repairs, contiguous(max(end, store.reached), offsets))
