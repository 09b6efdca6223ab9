"""Databases: closed when they are given up, bounded in memory, and rebuilt where they are damaged.

Answers `docs/reference/faust.md#c7` (faust#90 to faust#96, rh#299: locks that are held after a rebalance) and
`docs/reference/faust.md#c8` (2 GiB of cache and 192 MiB of write buffers for each table and partition).
"""

import logging
import select
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faust.stores.rocksdb import RocksDBOptions
from faust.types import TP
from rocksdict import Options, Rdict

from saga_app.core.numbers import Offset
from saga_app.engine.commit_note import InboxMark
from saga_app.engine.stores.errors import StoreDamaged
from saga_app.engine.stores.extent import Extent
from saga_app.engine.stores.rocks import MEBIBYTE, Memory, RocksStore
from tests.engine.faust.parts import in_a_loop, script, stock_app
from tests.support.damage import HARMS, SCRATCHES

ROWS = {b"a": b'{"version":1}', b"b": b'{"version":2}', b"policy:1": b'{"version":3}'}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tables" / "orders-0.db"


@pytest.fixture
def store(path: Path) -> Iterator[RocksStore]:
    store = RocksStore(path, Memory())
    yield store
    store.close()


def filled(path: Path) -> None:
    """A database with rows, closed in order."""
    store = RocksStore(path, Memory())
    store.write(ROWS, Offset(7), Offset(9))
    store.belong_to("topic-1")
    store.close()


# --- what a store holds


def test_a_new_store_holds_nothing(store: RocksStore) -> None:
    assert (store.reached, store.inbox, store.topic_id) == (0, None, None)
    assert list(store.scan()) == []


def test_rows_and_both_offsets_are_kept_over_a_close(path: Path) -> None:
    filled(path)
    store = RocksStore(path, Memory())
    assert dict(store.scan()) == ROWS
    assert (store.reached, store.inbox, store.topic_id) == (7, 9, "topic-1")


def test_a_write_without_an_inbox_offset_keeps_the_one_before(store: RocksStore) -> None:
    store.write({}, Offset(3), Offset(5))
    store.write({b"a": b"1"}, Offset(4))
    assert (store.reached, store.inbox) == (4, 5)


def test_a_scan_finds_rows_by_the_beginning_of_their_key(store: RocksStore) -> None:
    store.write(ROWS, Offset(3))
    assert list(store.scan(b"policy:")) == [(b"policy:1", b'{"version":3}')]
    assert list(store.scan(b"c")) == []


def test_a_store_that_is_emptied_holds_nothing_and_can_be_written(store: RocksStore) -> None:
    store.write(ROWS, Offset(7), Offset(9))
    store.empty("a test")
    assert (list(store.scan()), store.reached, store.inbox) == ([], 0, None)
    store.write({b"a": b"1"}, Offset(1))
    assert store.get(b"a") == b"1"


# --- kill -9: the changelog is the write-ahead log (docs/decisions/0008-no-write-ahead-log.md)

#: Writes a row at a time, so that row N and `reached` N + 1 come together; flushes are RocksDB's own.
WRITES = """
import os, sys, time
from pathlib import Path
from saga_app.engine.stores.rocks import Memory, RocksStore
store = RocksStore(Path(sys.argv[1]), Memory())
store.belong_to("topic-1")
for at in range(int(sys.argv[2])):
    store.write({b"%08d" % at: os.urandom(2_000)}, at + 1, at + 1)
print("written", flush=True)
time.sleep(60)
"""


def killed(path: Path, rows: int) -> None:
    """A database whose process was killed after so many writes of 2 kB each."""
    process = script(WRITES, path, str(rows))
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)


def held(path: Path) -> int:
    """How many rows a database holds; they are the first ones, and it claims no others."""
    store = RocksStore(path, Memory())
    rows = [int(key) for key, _ in store.scan()]
    assert rows == list(range(len(rows)))
    assert store.reached == (store.inbox or 0) == len(rows)
    store.close()
    return len(rows)


@pytest.mark.parametrize("rows", [0, 1, 1_000, 10_000])
def test_after_kill_9_a_prefix_of_the_rows_is_there_and_no_more_is_claimed(path: Path, rows: int) -> None:
    killed(path, rows)
    # 4 MiB at most are in memory, and as many on their way to the disk.
    assert rows - 4_500 <= held(path) <= rows


def test_a_write_ahead_log_of_its_own_would_lose_rows_in_the_middle_without_a_word(path: Path) -> None:
    """Why there is none: a manifest that ends too early forgets files, and the log behind them is replayed."""
    path.parent.mkdir()
    process = script(
        """
        import sys, time
        from rocksdict import Options, Rdict
        db = Rdict(sys.argv[1], Options(raw_mode=True))
        db.put(b"1", b"on disk")
        db.flush()
        db.put(b"2", b"in the log")
        db.put(b"reached", b"2")
        print("written", flush=True)
        time.sleep(60)
        """,
        path,
    )
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    forget_files(path)
    db = Rdict(str(path), Options(raw_mode=True))
    assert (db.get(b"1"), db.get(b"reached")) == (None, b"2")
    db.close()


def test_a_manifest_that_ends_too_early_takes_the_claimed_offsets_with_it(path: Path) -> None:
    killed(path, 10_000)
    forget_files(path)
    assert held(path) == 0


def forget_files(path: Path) -> None:
    """The manifest ends before the first file of rows was noted in it, between two of its entries."""
    manifest = next(path.glob("MANIFEST-*"))
    data = manifest.read_bytes()
    at = ends = 0
    while at + 7 <= len(data):
        entry = data[at + 7 : at + 7 + int.from_bytes(data[at + 4 : at + 6], "little")]
        # 103: a new file, with its smallest and largest key.
        if b"\x67" in entry:
            break
        at = ends = at + 7 + len(entry)
    manifest.write_bytes(data[:ends])


def test_copies_of_a_running_database_hold_a_prefix_or_are_rebuilt(path: Path, tmp_path: Path) -> None:
    """Copied file by file while rows are written, as a backup would."""
    process = script(WRITES, path, "30000")
    copies: list[Path] = []
    while process.poll() is None and len(copies) < 20 and not ready(process):
        if path.exists():
            copies.append(tmp_path / f"copy-{len(copies)}")
            copied(path, copies[-1])
    process.kill()
    process.communicate(timeout=10)
    assert copies
    rows = [held(copy) for copy in copies]
    assert max(rows) > 0


def copied(source: Path, target: Path) -> None:
    """Copies as `cp -r` does: files that vanish meanwhile are left out."""
    target.mkdir()
    for file in sorted(source.iterdir()):
        with suppress(FileNotFoundError):
            shutil.copy(file, target / file.name)


def ready(process: Any) -> bool:
    """True if it has printed something."""
    return bool(select.select([process.stdout], [], [], 0.02)[0])


# --- locks: docs/reference/faust.md#c7


def test_a_store_that_was_closed_can_be_opened_again_though_somebody_still_holds_it(path: Path) -> None:
    held = RocksStore(path, Memory())
    held.close()
    RocksStore(path, Memory()).close()


@in_a_loop
async def test_stock_faust_keeps_the_lock_of_a_revoked_partition_while_somebody_holds_it(
    tmp_path: Path,
) -> None:
    app = stock_app(tmp_path, store="rocksdb://")
    store = app.Table("orders", partitions=1).data
    place = TP("stock-orders-changelog", 0)
    held = store._db_for_partition(0)
    store.revoke_partitions(store.table, {place})
    with pytest.raises(Exception, match="lock"):
        store._db_for_partition(0)
    del held


def test_a_database_in_use_by_a_living_worker_is_neither_opened_nor_moved(path: Path) -> None:
    process = script(
        """
        import sys, time
        from pathlib import Path
        from saga_app.engine.stores.rocks import Memory, RocksStore
        store = RocksStore(Path(sys.argv[1]), Memory())
        store.write({b"k": b"v"}, 1)
        print("open", flush=True)
        sys.stdin.read()
        """,
        path,
    )
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    try:
        with pytest.raises(Exception, match="lock"):
            RocksStore(path, Memory())
        assert [each.name for each in path.parent.iterdir()] == [path.name]
    finally:
        process.kill()
        process.communicate(timeout=10)


# --- damage


@pytest.mark.parametrize("way", HARMS)
@pytest.mark.parametrize("folder", ["plain", "blocks-and-locks"])
def test_a_harmed_database_is_made_anew_or_says_so_when_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str, folder: str
) -> None:
    """Never are rows missing that it claims to hold."""
    path = tmp_path / folder / "orders-0.db"
    filled(path)
    HARMS[way](path)
    with caplog.at_level(logging.WARNING), suppress(StoreDamaged):
        store = RocksStore(path, Memory())
        rows = dict(store.scan())
        assert (rows, store.reached, store.inbox) in [({}, 0, None), (ROWS, 7, 9)]
        store.write({b"a": b"1"}, Offset(1))
        assert store.get(b"a") == b"1"
        store.close()
    aside = [each.name for each in path.parent.iterdir() if ".damaged-" in each.name]
    assert len(aside) <= 1 and all(each in caplog.text for each in aside)


@pytest.mark.parametrize("way", SCRATCHES)
def test_a_database_does_without_files_that_hold_no_rows(path: Path, way: str) -> None:
    filled(path)
    SCRATCHES[way](path)
    store = RocksStore(path, Memory())
    assert (dict(store.scan()), store.reached, store.inbox) == (ROWS, 7, 9)
    store.close()


def flipped_block(path: Path) -> int:
    """A database of many blocks with one turned bit in the middle; how many rows it has."""
    store = RocksStore(path, Memory())
    store.write({b"%06d" % at: b"x" * 100 for at in range(1_000)}, Offset(1_000))
    store.close()
    HARMS["*.sst-flip"](path)
    return 1_000


def test_a_scan_that_meets_a_damaged_block_raises(path: Path) -> None:
    """It does not end there as if there were no more rows: deadlines and policies would be forgotten."""
    flipped_block(path)
    store = RocksStore(path, Memory())
    with pytest.raises(StoreDamaged, match="checksum"):
        list(store.scan())


def test_rocksdicts_own_iteration_ends_at_a_damaged_block_without_a_word(path: Path) -> None:
    rows = flipped_block(path)
    db = Rdict(str(path), Options(raw_mode=True))
    assert 0 < len(list(db.items())) < rows
    db.close()


def test_a_damaged_block_is_found_by_the_first_read_that_needs_it(path: Path) -> None:
    rows = flipped_block(path)
    store = RocksStore(path, Memory())
    assert store.get(b"000000") is not None
    with pytest.raises(StoreDamaged, match=r"orders-0\.db is damaged"):
        [store.get(b"%06d" % at) for at in range(rows)]


def test_of_each_database_only_the_last_damaged_copy_is_kept(path: Path) -> None:
    """A disk that harms it again and again must not fill up with copies."""
    neighbour = path.with_name("orders-1.db")
    for each in (path, path, neighbour, path):
        filled(each)
        HARMS["CURRENT-empty"](each)
        RocksStore(each, Memory()).close()
    kept = [each.name.partition("damaged-")[0] for each in path.parent.glob("*.damaged-*")]
    assert sorted(kept) == ["orders-0.db.", "orders-1.db."]


def test_a_disk_that_cannot_be_used_is_not_damage(path: Path) -> None:
    """A rebuild would not mend it, so nothing is moved; the error says what, where and what to do."""
    filled(path)
    process = script(
        """
        import resource, sys
        from pathlib import Path
        from saga_app.engine.stores.errors import DiskFailed
        from saga_app.engine.stores.rocks import Memory, RocksStore
        memory = Memory()
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
        try:
            RocksStore(Path(sys.argv[1]), memory)
        except DiskFailed as error:
            print(error)
        """,
        path,
    )
    said, errors = process.communicate(timeout=30)
    assert str(path) in said and "Too many open files" in said, errors
    assert "nothing is lost: raise the limit on open files" in said
    store = RocksStore(path, Memory())
    assert dict(store.scan()) == ROWS
    store.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


# --- memory: docs/reference/faust.md#c8

#: Opens 48 databases, writes 6 MiB into each and reads it; prints by how many MiB the process has grown.
GROWTH = """
import os, sys
from pathlib import Path
import psutil
from rocksdict import WriteBatch
SETUP
value = os.urandom(16 * 1024)
before = psutil.Process().memory_info().rss
opened = [open_one(Path(sys.argv[1]) / str(number)) for number in range(48)]
for write, read in opened:
    for at in range(12):
        write({b"%d-%d" % (at, row): value for row in range(32)})
for write, read in opened:
    for at in range(12):
        assert read(b"%d-0" % at) == value
print((psutil.Process().memory_info().rss - before) // 1024 // 1024, flush=True)
os._exit(0)
"""
OURS = """
from saga_app.engine.stores.rocks import Memory, RocksStore
memory = Memory()
def open_one(path):
    store = RocksStore(path, memory)
    return lambda rows: store.write(rows, 0), store.get
"""
STOCK = """
from faust.stores.rocksdb import RocksDBOptions
def open_one(path):
    db = RocksDBOptions().open(path)
    def write(rows):
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            batch.put(key, value)
        db.write(batch)
    return write, db.get
"""


def growth(setup: str, folder: Path) -> int:
    folder.mkdir()
    out, errors = script(GROWTH.replace("SETUP", setup), folder).communicate(timeout=60)
    assert out, errors
    return int(out)


def test_many_databases_share_one_bounded_memory(tmp_path: Path) -> None:
    assert growth(OURS, tmp_path / "ours") < 250


def test_stock_faust_needs_memory_for_each_database(tmp_path: Path) -> None:
    assert growth(STOCK, tmp_path / "stock") > 280, (
        "it keeps all 288 MiB, and would keep 192 MiB of each database"
    )


def test_stock_faust_gives_each_database_2_gib_of_cache() -> None:
    options = RocksDBOptions()
    assert options.block_cache_size == 2048 * MEBIBYTE
    assert options.write_buffer_size * options.max_write_buffer_number == 192 * MEBIBYTE


# --- of which changelog and inbox its offsets are


def test_it_remembers_what_it_held_of_a_changelog_that_lost_rows_until_the_group_knows_better(
    path: Path,
) -> None:
    mark = InboxMark("inbox-1", 3)
    store = RocksStore(path, Memory())
    store.belong_to("topic-1")
    store.write(ROWS, Offset(7), Offset(9))
    store.begin_again("topic-2", Offset(2))
    store.write({}, Offset(4))
    store.read_from(mark, Offset(5))
    store.close()
    store = RocksStore(path, Memory())
    assert list(store.held) == [
        Extent("topic-2", Offset(2), Offset(4)),
        Extent("topic-1", Offset(0), Offset(7)),
    ]
    assert (dict(store.scan()), store.inbox, store.mark) == (ROWS, 5, mark)
    # A second try remembers no more than the furthest extent of each changelog.
    store.begin_again("topic-2", Offset(0))
    assert store.held[1:] == (
        Extent("topic-2", Offset(2), Offset(4)),
        Extent("topic-1", Offset(0), Offset(7)),
    )
    store.write({}, Offset(5))
    store.forget_before()
    assert list(store.held) == [Extent("topic-2", Offset(0), Offset(5))]
    store.close()


ENDS_AT_ONCE = """
import os, sys
from pathlib import Path
from saga_app.engine.stores.rocks import Memory, RocksStore
store = RocksStore(Path(sys.argv[1]), Memory())
store.write({b"k": b"v"}, 3)
if sys.argv[2] == "flushed":
    store.flush()
os._exit(0)
"""


def test_flushed_rows_survive_a_process_that_ends_at_once(tmp_path: Path) -> None:
    """They may be all that is left of a changelog that lost them."""
    rows = {}
    for what in ("in memory", "flushed"):
        path = tmp_path / what
        assert script(ENDS_AT_ONCE, str(path), what).wait(20) == 0
        store = RocksStore(path, Memory())
        rows[what] = dict(store.scan())
        store.close()
    assert rows == {"in memory": {}, "flushed": {b"k": b"v"}}
