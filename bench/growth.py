"""The cost of many orders: memory, disk, changelog, restarts and restores, with real baskets, at several sizes."""

import sys
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Final

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

import tables
from bench import load, measures
from bench.environments import Say
from bench.stats import Spread
from bench.verdict import judge
from bench.watch import CheckoutWatch, TooSlow
from harness.orders import Sent
from harness.scene import clear
from harness.shop import Shop
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.demo import retail
from saga_app.kafka import offsets, topic_admin
from saga_app.local.broker import Broker
from saga_app.settings import Settings

APP: Final = "bench-growth"
MB: Final = 1_000_000
#: Orders placed at once, the next when these have ended; and enough for something in every partition.
CHUNK: Final = 5_000
STIR: Final = 200
#: Orders of a lot that this shop and an empty one are given in turns, and how often; the first lot warms them up.
LOT: Final = 1_000
TURNS: Final = 7
ENDED_WITHIN: Final = 300.0
READY_WITHIN: Final = 600.0
#: Kafka's cleaner looks every 15 s; it has nothing left to do when sizes have been the same for so many.
CLEANER_RESTS: Final = 40
COMPACTED_WITHIN: Final = 600.0
#: Everything that is not the newest row of its key may go at once. Topics as we make them keep a day.
AT_ONCE: Final = {"min.compaction.lag.ms": "0", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "1000"}


class Growing:
    """One worker and its topics, filled more and more."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        clear(broker.address)
        names = tuple(table.name for table in tables.ALL)
        self.changelogs = [topics.changelog(APP, name) for name in names]
        self.broker = broker
        self._settings = Settings(broker=broker.address, app_id=APP)
        self._wanted = topics.wanted(APP, names, topics.DEFAULT_PARTITIONS)
        topic_admin.ensure(self._settings, self._wanted)
        self.worker = WorkerProcess(broker.address, folder, SAGA_APP_ID=APP).start().ready()
        self._shop = Shop(broker.address)
        self._placed = retail.orders(sys.maxsize)
        self.orders = 0

    def grow(self, orders: int) -> dict[str, float]:
        """Until there are so many; nothing to tell if there are."""
        began, had, spent = time.monotonic(), self.orders, 0.0
        while self.orders < orders:
            spent += self.take(self.more(min(CHUNK, orders - self.orders)))
        grown = self.orders - had
        if not grown:
            return {}
        return {"per_second": grown / (time.monotonic() - began), "cpu_ms": spent / grown * 1000}

    def more(self, count: int) -> list[Sent]:
        """Orders that were not placed yet."""
        return list(islice(self._placed, count))

    def take(self, lot: Sequence[Sent]) -> float:
        """Seconds of the worker's CPU for these orders; each must end as it must."""
        before = measures.cpu(self.worker.pid)
        deliveries, chunk = load.plentiful(lot)
        load.place(self._shop, deliveries)
        watch = CheckoutWatch(self.broker.address)
        load.place(self._shop, chunk.messages)
        watch.wait(len(lot), ENDED_WITHIN)
        judge(watch.read(len(lot)), chunk.expected)
        # A shop remembers what it has sent.
        self._shop.outbox.clear()
        self.orders += len(lot)
        return measures.cpu(self.worker.pid) - before

    def start_again(self, *, empty: bool) -> float:
        """Seconds from the start of the process, after a stop in order, until it reads orders."""
        self.worker.end()
        if empty:
            self.worker.lose_disk()
        began = time.monotonic()
        self.worker.start().ready(READY_WITHIN)
        return time.monotonic() - began

    def rows(self) -> int:
        """Records in all changelogs, old versions of rows too, as far as offsets tell."""
        admin = AdminClient({"bootstrap.servers": self.broker.address, "log_level": 3})
        places = [(name, each) for name in self.changelogs for each in range(topics.DEFAULT_PARTITIONS)]
        return sum(offsets.ends(admin, places).values())

    def on_broker(self, names: Sequence[str]) -> float:
        """MB that the records of these topics take on the broker's disk."""
        return size(
            log
            for name in names
            for folder in (self.broker.folder / "data").rglob(f"{name}-*")
            for log in folder.glob("*.log")
        )

    def compact(self) -> None:
        """Returns when Kafka has thrown away what it may."""
        admin = AdminClient({"bootstrap.servers": self.broker.address, "log_level": 3})
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in AT_ONCE.items()
        ]
        wanted = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries) for name in self.changelogs
        ]
        for done in admin.incremental_alter_configs(wanted).values():
            done.result()
        # What is written to now is not compacted: what comes next begins a new file.
        time.sleep(1.1)
        self.grow(self.orders + STIR)
        self._rest()
        # No worker starts on changelogs that are compacted at once.
        topic_admin.alter(self._settings, self._wanted)

    def _rest(self) -> None:
        end, sizes = time.monotonic() + COMPACTED_WITHIN, [self.on_broker(self.changelogs)]
        while len(sizes) < CLEANER_RESTS or set(sizes[-CLEANER_RESTS:]) != {sizes[-1]}:
            if time.monotonic() > end:
                raise TooSlow(f"changelogs of {sizes[-1]:.0f} MB shrink on after {COMPACTED_WITHIN:.0f} s")
            time.sleep(1)
            sizes.append(self.on_broker(self.changelogs))


def growth(broker: Broker, folder: Path, sizes: Sequence[int], say: Say) -> list[dict[str, Any]]:
    """One line for each size, and one more when the changelogs are compacted."""
    growing, found = Growing(broker, folder), []
    try:
        for each in sorted(sizes):
            grown = growing.grow(each - (1 + TURNS) * LOT)
            turns = _beside_an_empty_one(growing, folder / f"empty-{each}")
            found.append({**grown, **turns, **_measured(growing)})
            say(f"{growing.orders:,} orders: {found[-1]}")
        growing.compact()
        found.append({**_measured(growing), "compacted": True})
        say(f"compacted: {found[-1]}")
    finally:
        growing.worker.close()
    return found


def _beside_an_empty_one(growing: Growing, folder: Path) -> dict[str, Any]:
    """CPU of the same orders here and in an empty shop, lot by lot: no machine is the same for an hour."""
    broker = Broker(folder / "kafka")
    try:
        empty = Growing(broker.start().wait(), folder)
        try:
            turns = []
            for _ in range(1 + TURNS):
                lot = growing.more(LOT)
                turns.append((growing.take(lot), empty.take(lot)))
        finally:
            empty.worker.close()
    finally:
        broker.remove()
    here, empty_ones = zip(*turns[1:], strict=True)
    return {
        "full_ms": median(here) / LOT * 1000,
        "empty_ms": median(empty_ones) / LOT * 1000,
        "full_is_x": Spread.of([each / other for each, other in turns[1:]]),
    }


def _measured(growing: Growing) -> dict[str, Any]:
    worker = growing.worker
    grown = {
        "orders": growing.orders,
        "rows": growing.rows(),
        "memory_mb": measures.memory([worker.pid]),
        "inboxes_mb": growing.on_broker(topics.INBOXES),
        "changelogs_mb": growing.on_broker(growing.changelogs),
        "restart_s": growing.start_again(empty=False),
    }
    return {
        **grown,
        "store_mb": size(path for path in worker.data.rglob("*") if path.is_file()),
        "restore_s": growing.start_again(empty=True),
    }


def size(files: Iterable[Path]) -> float:
    """MB that the files take on the disk."""
    total = 0
    for file in files:
        try:
            total += file.stat().st_blocks * 512
        except FileNotFoundError:
            # The cleaner has just replaced it.
            continue
    return total / MB
