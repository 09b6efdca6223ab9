"""A worker's disk is full, read-only, lost, old or damaged: it stops clearly or rebuilds, and nothing is lost.

Afterwards one truth remains: what the stopped worker has on disk is its changelogs, and a refold of the inboxes.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from pathlib import Path

import pytest

from harness.ledger import JOURNALS, TopicLedger
from harness.orders import Sent, orders, supplies
from harness.scene import TABLES, Scene
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.engine.exits import Exit
from saga_app.engine.stores.errors import StoreDamaged
from saga_app.engine.stores.rocks import Memory, RocksStore
from tests.live.mounts import fill, read_only, small_disk
from tests.support.damage import HARMS, SCRATCHES

pytestmark = pytest.mark.slow("disks that fill, vanish or are damaged under a worker")


def databases(worker: WorkerProcess) -> list[Path]:
    return sorted((worker.data / "tables").glob("*.db"))


def same_on_disk(worker: WorkerProcess, ledger: TopicLedger, asleep: Iterable[str] = ()) -> None:
    """I7: the databases of this stopped worker, which owned all partitions, are the refold row by row.

    In some of them damage may sleep in a block that nothing has read: then reading it says so.
    """
    memory = Memory()
    for table in TABLES:
        refolded, logged = ledger.refold.tables[table], ledger.logged[table]
        for partition in range(topics.DEFAULT_PARTITIONS):
            name = f"{table}-{partition}.db"
            try:
                store = RocksStore(worker.data / "tables" / name, memory, read_only=True)
                held = dict(store.scan())
                store.close()
            except StoreDamaged:
                assert name in asleep
                continue
            assert held == part(refolded, partition) == part(logged, partition), f"{name} differs"


def part(rows: Mapping[tuple[int, bytes], bytes], partition: int) -> dict[bytes, bytes]:
    """A table's rows of one partition."""
    return {key: row for (at, key), row in rows.items() if at == partition}


def prove(scene: Scene, worker: WorkerProcess, placed: int, asleep: Iterable[str] = ()) -> None:
    """All orders end, all rules hold, and the worker, stopped in order, has exactly the right rows on its disk."""
    scene.endings.wait_for(placed, 90)
    scene.log.wait_until_quiet()
    assert worker.end() == 0, worker.text()[-3000:]
    ledger = scene.ledger()
    ledger.check()
    same_on_disk(worker, ledger, asleep)


def large_orders(count: int, prefix: str) -> Iterator[Sent]:
    """Orders of 200 KiB that payment refuses: what memory holds for `orders` goes to disk soon."""
    for number in range(count):
        lines = [{"sku": f"{each:_>64}", "quantity": 1, "unit_price": "1.00"} for each in range(1_800)]
        yield {"order_id": f"{prefix}-{number}", "country": "GB", "lines": lines}


def feed_until_it_ends(scene: Scene, worker: WorkerProcess) -> int:
    """Orders, and large ones between them, until the worker has ended by itself; how many."""
    count = 0
    while worker.alive:
        assert count < 4_000, f"the worker never met its disk: {worker.text()[-3000:]}"
        for burst in (orders(20, seed=count, prefix=f"o-{count}"), large_orders(5, f"large-{count}")):
            count += scene.shop.send(burst)
        scene.endings.poll(0.2)
    return count


def test_a_worker_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(scene: Scene) -> None:
    """Under load: one line says what, where and what to do."""
    worker = scene.worker("w1")
    with small_disk(worker.data, 192):
        worker.start().ready()
        scene.shop.send(supplies())
        ballast = fill(worker.data)
        placed = feed_until_it_ends(scene, worker)
        assert scene.log.lag() > 0, "the full disk did not bite"
        said_clearly(worker, Exit.DISK_FAILED, "No space left on device", "nothing is lost: make room")
        ballast.unlink()
        placed += scene.shop.send(orders(100, seed=9, prefix="after"))
        worker.start()
        prove(scene, worker, placed)


def test_a_worker_that_must_not_write_decides_nothing_and_says_why(scene: Scene) -> None:
    """With orders waiting: a database that another process has open is left to it, and a disk may be read-only."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    placed = scene.feed(orders(300), until_ended=300)
    assert worker.end() == 0
    placed += scene.shop.send(orders(100, seed=2, prefix="waiting"))
    rows = scene.log.rows(TABLES)
    other = RocksStore(worker.data / "tables" / "stock-3.db", Memory())
    worker.start().wait_for_end()
    said_clearly(worker, Exit.DISK_FAILED, "stock-3.db", "does another worker use this SAGA_DATA_DIR?")
    other.close()
    with read_only(worker.data):
        worker.start().wait_for_end()
        said_clearly(worker, Exit.DISK_FAILED, "Read-only file system", "nothing is lost: make it writable")
    assert scene.log.rows(TABLES) == rows
    worker.start()
    prove(scene, worker, placed)


def test_a_worker_whose_folder_is_removed_under_it_loses_nothing(scene: Scene) -> None:
    """Somebody tidies up while it runs: it works on in memory, says so when it is stopped, and rebuilds."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    placed = scene.feed(orders(300), until_ended=100)
    shutil.rmtree(worker.data / "tables")
    placed += scene.feed(orders(300, seed=2, prefix="after"), until_ended=300)
    worker.end()
    said_clearly(worker, Exit.DISK_FAILED, "No such file", "nothing is lost: somebody removed it")
    placed += scene.shop.send(orders(100, seed=3, prefix="last"))
    worker.start()
    prove(scene, worker, placed)


def test_every_damage_to_a_database_is_found_and_mended(scene: Scene) -> None:
    """48 databases, each harmed in its own way between a stop under load and the next start."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    scene.shop.policy(topics.PAYMENT, policy_id="limit", limit="900")
    placed = scene.feed(orders(2_000), until_ended=200)
    assert worker.end() == 0
    assert scene.under_way() > 0
    ways = HARMS | SCRATCHES
    chosen = dict(zip(databases(worker), cycle(ways), strict=False))
    for path, way in chosen.items():
        ways[way](path)
    assert len(chosen) > len(ways), "some harm was done to nothing"
    placed += scene.shop.send(orders(200, seed=3, prefix="after"))
    worker.start()
    ended = scene.supervise(lambda: len(scene.endings.ended) == placed, 90)
    for each in ended:
        assert each.code == Exit.STORE_DAMAGED and "rebuilt" in each.words, each
    prove(scene, worker, placed, {path.name for path, way in chosen.items() if way == "*.sst-flip"})
    aside = [path.name.partition(".damaged-")[0] for path in (worker.data / "tables").glob("*.damaged-*")]
    assert aside and len(aside) == len(set(aside)), "more than one is kept of a database"


def test_old_copies_of_some_databases_are_brought_up_to_date(scene: Scene) -> None:
    """A backup is put back in part: each table and partition has an age of its own."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    placed = scene.feed(orders(500, prefix="first"), until_ended=200)
    assert worker.end() == 0
    copy = worker.folder / "copy"
    shutil.copytree(worker.data / "tables", copy)
    worker.start().ready()
    placed += scene.feed(orders(2_000, seed=2, prefix="second"), until_ended=200)
    assert worker.end() == 0
    assert scene.under_way() > 0
    # Journals old and balances new, the reverse, both old, neither; by partition.
    for path in databases(worker):
        table, partition = path.stem.rsplit("-", 1)
        old = {0: table in JOURNALS.values(), 1: table not in JOURNALS.values(), 2: True, 3: False}
        if old[int(partition) % 4]:
            shutil.rmtree(path)
            shutil.copytree(copy / path.name, path)
    placed += scene.shop.send(orders(200, seed=3, prefix="after"))
    worker.start()
    prove(scene, worker, placed)
    assert "rows_missing" not in worker.log.read_text()


def said_clearly(worker: WorkerProcess, code: Exit, *words: str) -> None:
    """It ended with this code, and its last line has all these words."""
    assert worker.code == code, worker.text()[-3000:]
    for each in words:
        assert each in worker.last_words(), worker.last_words()
