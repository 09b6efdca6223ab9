"""The store port on RocksDB: one database per table and partition, with bounded memory for all of them together.

There is no write-ahead log: the changelog is one. What memory held at a kill -9, 32 MiB at most, is read again from
there, and a database is always a *prefix* of what was written to it: whatever is cut off, `reached` goes back with the
rows. With a log of its own a database can lose rows in the middle and still claim to hold them
(`docs/decisions/0008-no-write-ahead-log.md`).
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from saga_app.core.numbers import FIRST, Offset
from saga_app.core.rows import is_tombstone
from saga_app.engine.commit_note import InboxMark
from saga_app.engine.stores.errors import DiskFailed, StoreDamaged, does_not_open, named, remove, set_aside
from saga_app.engine.stores.extent import Extent
from saga_app.private_files import private_folder

logger = logging.getLogger(__name__)

MEBIBYTE: Final = 1024 * 1024
#: Faust's name for the offset up to which a store follows its changelog; here the last offset held.
OFFSET_KEY: Final = b"__faust\0offset__"
INBOX_KEY: Final = b"__saga\0inbox__"
TOPIC_KEY: Final = b"__saga\0topic__"
#: Where the changelog may begin, the term whose rows these are, and the extents of changelogs that lost records.
#: See `extent`.
FIRST_KEY: Final = b"__saga\0first__"
TERM_KEY: Final = b"__saga\0term__"
BEFORE_KEY: Final = b"__saga\0before__"
#: Of which inbox the offset is, and the leader epoch there.
MARK_KEY: Final = b"__saga\0mark__"
_OWN_KEYS: Final = frozenset({OFFSET_KEY, INBOX_KEY, TOPIC_KEY, FIRST_KEY, TERM_KEY, BEFORE_KEY, MARK_KEY})
_RAW: Final = Options(raw_mode=True)


class Memory:
    """One block cache and one budget of write buffers, shared by all databases of a worker.

    Stock Faust gives each of them 2 GiB of cache and 192 MiB of write buffers (`docs/reference/faust.md#c8`).
    """

    def __init__(self, cache_bytes: int = 80 * MEBIBYTE, write_bytes: int = 32 * MEBIBYTE) -> None:
        # What the write buffers use is taken from the cache, so the cache must be much larger than they are.
        self._cache = Cache(cache_bytes)
        self._buffers = WriteBufferManager.new_write_buffer_manager_with_cache(
            write_bytes, False, self._cache
        )

    def options(self) -> Options:
        """Options of one database."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_max_open_files(64)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(4 * MEBIBYTE)
        options.set_max_write_buffer_number(2)
        options.set_keep_log_file_num(2)
        # 4 MiB would be set apart for each.
        options.set_manifest_preallocation_size(MEBIBYTE // 16)
        # RocksDB's defaults, said aloud: names and sizes of all files are compared with the manifest at opening, every
        # block with its checksum when it is read, and damage that a compaction meets stops the writes.
        options.set_paranoid_checks(True)
        table = BlockBasedOptions()
        table.set_bloom_filter(10, False)
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        options.set_block_based_table_factory(table)
        return options


class RocksStore:
    """Rows of one table and partition; see `ports.Store`."""

    def __init__(self, path: Path, memory: Memory, *, read_only: bool = False) -> None:
        self.path = path
        self._memory = memory
        self._read_only = read_only
        self._reached = FIRST
        self._inbox: Offset | None = None
        self._topic_id: str | None = None
        self._first = FIRST
        self._term = ""
        self._before: tuple[Extent, ...] = ()
        self._mark: InboxMark | None = None
        self._db = self._open()
        self._load()

    @property
    def reached(self) -> Offset:
        return self._reached

    @property
    def inbox(self) -> Offset | None:
        return self._inbox

    @property
    def topic_id(self) -> str | None:
        """Which incarnation of the changelog these rows come from."""
        return self._topic_id

    @property
    def held(self) -> tuple[Extent, ...]:
        """Extents whose rows are all here: first that of the changelog which the store follows, if it follows one."""
        if self._topic_id is None:
            return ()
        return Extent(self._topic_id, self._first, self._reached, self._term), *self._before

    @property
    def mark(self) -> InboxMark | None:
        """The inbox of which `inbox` is an offset, and the leader epoch in which its last record was read."""
        return self._mark

    def get(self, key: bytes) -> bytes | None:
        try:
            data: bytes | None = self._db.get(key)
        except Exception as error:
            raise named(self.path, error) from error
        return data

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        # Not `Rdict.items()`: that ends at a damaged block as if there were no more rows.
        rows = self._db.iter()
        rows.seek(prefix)
        while rows.valid():
            key = rows.key()
            if not key.startswith(prefix):
                return
            if key not in _OWN_KEYS:
                yield key, rows.value()
            rows.next()
        try:
            rows.status()
        except Exception as error:
            raise named(self.path, error) from error

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if is_tombstone(value):
                batch.delete(key)
            else:
                batch.put(key, value)
        if reached != self._reached:
            batch.put(OFFSET_KEY, str(reached - 1).encode())
        if inbox is not None:
            batch.put(INBOX_KEY, str(inbox).encode())
        self._write(batch)
        self._reached = reached
        self._inbox = self._inbox if inbox is None else inbox

    def belong_to(self, topic_id: str, first: Offset = FIRST, term: str = "") -> None:
        """Follows this changelog, which may begin at `first`, from where the store has reached, in this term."""
        self._follow(Extent(topic_id, first, self._reached, term), ())

    def begin_again(self, topic_id: str, first: Offset, term: str = "") -> None:
        """Follows this changelog from `first` on; what the store held, it holds, and says so until `belong_to`."""
        held: dict[tuple[str, str], Extent] = {}
        for each in self.held:
            known = held.setdefault((each.topic_id, each.term), each)
            held[each.topic_id, each.term] = max(known, each, key=lambda extent: extent.reached)
        self._follow(Extent(topic_id, first, first, term), tuple(held.values()))

    def flush(self) -> None:
        """Writes to the disk what is in memory."""
        try:
            self._db.flush()
        except Exception as error:
            raise named(self.path, error) from error

    def read_from(self, mark: InboxMark, inbox: Offset | None = None) -> None:
        """From now on, the inbox offset is of this inbox and leader epoch; `inbox` if it is another offset too."""
        own = {MARK_KEY: json.dumps(mark).encode()}
        self._own(own if inbox is None else {**own, INBOX_KEY: str(inbox).encode()})
        self._mark = mark
        self._inbox = self._inbox if inbox is None else inbox

    def _follow(self, extent: Extent, before: tuple[Extent, ...]) -> None:
        topic_id, first, reached, term = extent
        own = {
            TOPIC_KEY: topic_id.encode(),
            FIRST_KEY: str(first).encode(),
            TERM_KEY: term.encode(),
            OFFSET_KEY: str(reached - 1).encode(),
            BEFORE_KEY: json.dumps(before).encode(),
        }
        self._own(own)
        self._topic_id, self._first, self._reached, self._term = extent
        self._before = before

    def _own(self, values: Mapping[bytes, bytes]) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in values.items():
            batch.put(key, value)
        self._write(batch)

    def empty(self, why: str) -> None:
        """Throws everything away; the rows come back from the changelog."""
        logger.warning("rebuilding %s from its changelog: %s", self.path.name, why)
        with suppress(DiskFailed, StoreDamaged):
            self.close()
        try:
            remove(self.path)
        except OSError as error:
            raise named(self.path, error) from error
        self._db = self._open()
        self._load()

    def close(self) -> None:
        """Writes what is in memory and gives up the lock on the files, also where that fails."""
        try:
            self._db.close()
        except Exception as error:
            raise named(self.path, error) from error

    def _write(self, batch: WriteBatch) -> None:
        try:
            self._db.write(batch)
        except Exception as error:
            raise named(self.path, error) from error

    def _load(self) -> None:
        reached, inbox = self.get(OFFSET_KEY), self.get(INBOX_KEY)
        self._reached = FIRST if reached is None else Offset(int(reached) + 1)
        self._inbox = None if inbox is None else Offset(int(inbox))
        topic_id, mark = self.get(TOPIC_KEY), self.get(MARK_KEY)
        self._topic_id = None if topic_id is None else topic_id.decode()
        self._first = Offset(int(self.get(FIRST_KEY) or FIRST))
        self._term = (self.get(TERM_KEY) or b"").decode()
        self._before = tuple(Extent(*each) for each in json.loads(self.get(BEFORE_KEY) or b"[]"))
        self._mark = None if mark is None else InboxMark(*json.loads(mark))

    def _open(self) -> Rdict:
        try:
            if not self._read_only:
                private_folder(self.path.parent)
            try:
                return self._opened()
            except Exception as error:
                if self._read_only or not does_not_open(error):
                    raise
                aside = set_aside(self.path)
                logger.warning(
                    "%s does not open (%s); moved aside to %s and rebuilt", self.path.name, error, aside.name
                )
                return self._opened()
        except Exception as error:
            raise named(self.path, error) from error

    def _opened(self) -> Rdict:
        access = AccessType.read_only() if self._read_only else AccessType.read_write()
        db = Rdict(str(self.path), self._memory.options(), access_type=access)
        options = WriteOptions()
        options.disable_wal = True
        db.set_write_options(options)
        return db
