"""Databases: closed when they are given up, bounded in memory, and rebuilt where they are damaged.

Answers faust.md c7 (faust#90 to faust#96, rh#299: locks that are held after a rebalance) and c8 (2 GiB of cache and
192 MiB of write buffers for each table and partition).
"""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from faust.stores.rocksdb import RocksDBOptions
from faust.types import TP

from saga_app.durable.rocks import MEBIBYTE, Memory, RocksShelf
from tests.overrides.parts import in_a_loop, script, stock_app

ROWS = {b"a": b'{"version":1}', b"b": b'{"version":2}', b"policy:1": b'{"version":3}'}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tables" / "orders-0.db"


@pytest.fixture
def shelf(path: Path) -> Iterator[RocksShelf]:
    shelf = RocksShelf(path, Memory())
    yield shelf
    shelf.close()


def filled(path: Path) -> None:
    """A database with rows, closed in order."""
    shelf = RocksShelf(path, Memory())
    shelf.write(ROWS, 7, 9)
    shelf.belong_to("topic-1")
    shelf.close()


# --- what a shelf holds


def test_a_new_shelf_holds_nothing(shelf: RocksShelf) -> None:
    assert (shelf.reached, shelf.inbox, shelf.topic_id) == (0, None, None)
    assert list(shelf.scan()) == []


def test_rows_and_both_offsets_are_kept_over_a_close(path: Path) -> None:
    filled(path)
    shelf = RocksShelf(path, Memory())
    assert dict(shelf.scan()) == ROWS
    assert (shelf.reached, shelf.inbox, shelf.topic_id) == (7, 9, "topic-1")


def test_a_write_without_an_inbox_offset_keeps_the_one_before(shelf: RocksShelf) -> None:
    shelf.write({}, 3, 5)
    shelf.write({b"a": b"1"}, 4)
    assert (shelf.reached, shelf.inbox) == (4, 5)


def test_a_scan_finds_rows_by_the_beginning_of_their_key(shelf: RocksShelf) -> None:
    shelf.write(ROWS, 3)
    assert list(shelf.scan(b"policy:")) == [(b"policy:1", b'{"version":3}')]
    assert list(shelf.scan(b"c")) == []


def test_a_shelf_that_is_emptied_holds_nothing_and_can_be_written(shelf: RocksShelf) -> None:
    shelf.write(ROWS, 7, 9)
    shelf.empty("a test")
    assert (list(shelf.scan()), shelf.reached, shelf.inbox) == ([], 0, None)
    shelf.write({b"a": b"1"}, 1)
    assert shelf.get(b"a") == b"1"


# --- kill -9


def test_rows_are_kept_over_kill_9(path: Path) -> None:
    process = script(
        """
        import sys, time
        from pathlib import Path
        from saga_app.durable.rocks import Memory, RocksShelf
        shelf = RocksShelf(Path(sys.argv[1]), Memory())
        for at in range(1000):
            shelf.write({b"k%d" % at: b"%d" % at}, at + 1, at + 1)
        print("written", flush=True)
        time.sleep(60)
        """,
        path,
    )
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    shelf = RocksShelf(path, Memory())
    assert (shelf.reached, shelf.inbox) == (1000, 1000)
    assert len(list(shelf.scan())) == 1000


# --- locks: faust.md c7


def test_a_shelf_that_was_closed_can_be_opened_again_though_somebody_still_holds_it(path: Path) -> None:
    held = RocksShelf(path, Memory())
    held.close()
    RocksShelf(path, Memory()).close()


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
        from saga_app.durable.rocks import Memory, RocksShelf
        shelf = RocksShelf(Path(sys.argv[1]), Memory())
        shelf.write({b"k": b"v"}, 1)
        print("open", flush=True)
        sys.stdin.read()
        """,
        path,
    )
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    try:
        with pytest.raises(Exception, match="lock"):
            RocksShelf(path, Memory())
        assert [each.name for each in path.parent.iterdir()] == [path.name]
    finally:
        process.kill()
        process.communicate(timeout=10)


# --- damage


def shorten(path: Path, name: str) -> None:
    """A file of the database that ends too early."""
    next(path.glob(name)).write_bytes(b"")


def scramble(path: Path, name: str) -> None:
    """A file of the database whose every byte is wrong."""
    file = next(path.glob(name))
    file.write_bytes(bytes(byte ^ 0xFF for byte in file.read_bytes()))


@pytest.mark.parametrize(
    ("damage", "name"),
    [(shorten, "CURRENT"), (scramble, "CURRENT"), (shorten, "MANIFEST-*"), (scramble, "MANIFEST-*")],
)
@pytest.mark.parametrize("folder", ["plain", "blocks-and-locks"])
def test_a_damaged_database_is_moved_aside_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object, name: str, folder: str
) -> None:
    path = tmp_path / folder / "orders-0.db"
    filled(path)
    assert callable(damage)
    damage(path, name)
    with caplog.at_level(logging.WARNING):
        shelf = RocksShelf(path, Memory())
    assert (list(shelf.scan()), shelf.reached, shelf.inbox) == ([], 0, None)
    shelf.write({b"a": b"1"}, 1)
    assert shelf.get(b"a") == b"1"
    shelf.close()
    aside = [each.name for each in path.parent.iterdir() if ".damaged-" in each.name]
    assert len(aside) == 1 and aside[0] in caplog.text


# --- memory: faust.md c8

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
from saga_app.durable.rocks import Memory, RocksShelf
memory = Memory()
def open_one(path):
    shelf = RocksShelf(path, memory)
    return lambda rows: shelf.write(rows, 0), shelf.get
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
