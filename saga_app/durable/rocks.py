"""The shelf port on RocksDB: one database per table and partition, with bounded memory for all of them together."""

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
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
)

logger = logging.getLogger(__name__)

MEBIBYTE: Final = 1024 * 1024
#: Faust's name for the offset up to which a store follows its changelog; here the last offset held.
OFFSET_KEY: Final = b"__faust\0offset__"
INBOX_KEY: Final = b"__saga\0inbox__"
TOPIC_KEY: Final = b"__saga\0topic__"
_OWN_KEYS: Final = frozenset({OFFSET_KEY, INBOX_KEY, TOPIC_KEY})
_RAW: Final = Options(raw_mode=True)


class StoreDamaged(Exception):
    """A database opened, but what is in it cannot be read."""

    def __init__(self, path: Path, error: Exception) -> None:
        super().__init__(f"{path.name} is damaged ({error})")
        self.path = path


class Memory:
    """One block cache and one budget of write buffers, shared by all databases of a worker.

    Stock Faust gives each of them 2 GiB of cache and 192 MiB of write buffers (faust.md c8).
    """

    def __init__(self, cache_bytes: int = 128 * MEBIBYTE, write_bytes: int = 48 * MEBIBYTE) -> None:
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
        options.set_write_buffer_size(8 * MEBIBYTE)
        options.set_max_write_buffer_number(2)
        options.set_keep_log_file_num(2)
        options.set_max_total_wal_size(32 * MEBIBYTE)
        table = BlockBasedOptions()
        table.set_bloom_filter(10, False)
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        options.set_block_based_table_factory(table)
        return options


class RocksShelf:
    """Rows of one table and partition; see `ports.Shelf`."""

    def __init__(self, path: Path, memory: Memory, *, read_only: bool = False) -> None:
        self.path = path
        self._memory = memory
        self._read_only = read_only
        self._reached = 0
        self._inbox: int | None = None
        self._db = self._open()
        self._load()

    @property
    def reached(self) -> int:
        return self._reached

    @property
    def inbox(self) -> int | None:
        return self._inbox

    @property
    def topic_id(self) -> str | None:
        """Which incarnation of the changelog these rows come from."""
        data = self._db.get(TOPIC_KEY)
        return None if data is None else data.decode()

    def get(self, key: bytes) -> bytes | None:
        try:
            data: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._named(error) from error
        return data

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        try:
            for key, value in self._db.items(from_key=prefix or None):
                if not key.startswith(prefix):
                    return
                if key not in _OWN_KEYS:
                    yield key, value
        except Exception as error:
            raise self._named(error) from error

    def write(self, rows: Mapping[bytes, bytes], reached: int, inbox: int | None = None) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            batch.put(key, value)
        if reached != self._reached:
            batch.put(OFFSET_KEY, str(reached - 1).encode())
        if inbox is not None:
            batch.put(INBOX_KEY, str(inbox).encode())
        try:
            self._db.write(batch)
        except Exception as error:
            raise self._named(error) from error
        self._reached = reached
        self._inbox = self._inbox if inbox is None else inbox

    def belong_to(self, topic_id: str) -> None:
        """Remembers which incarnation of the changelog these rows come from."""
        self._db.put(TOPIC_KEY, topic_id.encode())

    def empty(self, why: str) -> None:
        """Throws everything away; the rows come back from the changelog."""
        logger.warning("rebuilding %s from its changelog: %s", self.path.name, why)
        self._db.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._db = self._open()
        self._load()

    def close(self) -> None:
        """Gives up the lock on the files."""
        self._db.close()

    def _named(self, error: Exception) -> Exception:
        """Damage is told from a full or read-only disk, which a rebuild would not mend."""
        return StoreDamaged(self.path, error) if "Corruption" in str(error) else error

    def _load(self) -> None:
        reached, inbox = self.get(OFFSET_KEY), self.get(INBOX_KEY)
        self._reached = 0 if reached is None else int(reached) + 1
        self._inbox = None if inbox is None else int(inbox)

    def _open(self) -> Rdict:
        if self._read_only:
            return Rdict(str(self.path), self._memory.options(), access_type=AccessType.read_only())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return Rdict(str(self.path), self._memory.options(), access_type=AccessType.read_write())
        except Exception as error:
            if "While lock file" in str(error) or "lock hold by" in str(error):
                raise RuntimeError(f"{error}; does another worker use this SAGA_DATA_DIR?") from error
            # A full disk, missing permission or too many open files: a rebuild would not mend it.
            if "Corruption" not in str(error) and "No such file" not in str(error):
                raise
            aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
            logger.warning(
                "%s does not open (%s); moved aside to %s and rebuilt", self.path.name, error, aside.name
            )
            self.path.rename(aside)
            return Rdict(str(self.path), self._memory.options(), access_type=AccessType.read_write())
