"""The tables of an owner: restored as `StoreManager.restore` does it, and repaired as `StoreManager.repair` does."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import product

from saga_app.core.numbers import Offset
from saga_app.engine.stores import restore
from saga_app.engine.stores.restore import Restored
from saga_app.kafka.messages import Offsets, Outgoing, Place
from tests.simulation.job import StopPoint
from tests.simulation.kafka import Kafka
from tests.simulation.machine import Machine, WatchedStore
from tests.simulation.services import BALANCES, JOURNALS, changelog
from tests.support.memory import MemoryChangelog, Steps


async def restored(
    kafka: Kafka,
    machine: Machine,
    steps: Steps,
    partitions: Sequence[int],
    append: Callable[[Sequence[Outgoing]], Awaitable[Offsets]],
) -> dict[Place, WatchedStore]:
    """The stores of these partitions, up to their changelogs' ends."""
    ends = await ends_of(kafka, partitions)
    stores: dict[Place, WatchedStore] = {}
    found: dict[Place, tuple[MemoryChangelog, Restored]] = {}
    for tables in (JOURNALS, BALANCES):
        for place in product(tables, partitions):
            table, each = place
            log = MemoryChangelog(kafka, changelog(table), each)
            stores[place] = machine.store(table, each, kafka, steps)
            found[place] = log, restore.restore(log, ends[place], stores[place])
        await StopPoint()
    for place, (log, known) in found.items():
        records = restore.repair_records(log, known)
        if records:
            written = await append(records)
            restore.repaired(stores[place], ends[place], known.repairs, written[log.topic, log.partition])
    kafka.repaired |= {(changelog(table), each): end for (table, each), end in ends.items()}
    return stores


async def ends_of(kafka: Kafka, partitions: Sequence[int]) -> dict[Place, Offset]:
    """As `StoreManager` takes them: the balances' ends between two looks at which the journals had the same ends."""
    journals = taken(kafka, JOURNALS, partitions)
    await StopPoint()
    while True:
        before, balances = journals, taken(kafka, BALANCES, partitions)
        await StopPoint()
        journals = taken(kafka, JOURNALS, partitions)
        if journals == before:
            await StopPoint()
            return {**balances, **journals}


def taken(kafka: Kafka, tables: Sequence[str], partitions: Sequence[int]) -> dict[Place, Offset]:
    """Where the changelogs of these tables end now."""
    return {(table, each): kafka.end((changelog(table), each)) for table in tables for each in partitions}
