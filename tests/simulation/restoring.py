"""The tables of an owner: restored as `Library.restore` does it, and repaired as `Library.repair` does."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import product
from typing import Final

from saga_app.durable import restore
from saga_app.durable.ports import Offsets, Outgoing, Place
from saga_app.durable.restore import Restored
from tests.simulation.job import Step
from tests.simulation.kafka import Kafka
from tests.simulation.machine import Machine, WatchedShelf
from tests.simulation.services import BALANCES, JOURNALS, changelog
from tests.support.memory import MemoryChangelog, Steps

#: Of these tables first, of those then; a positive control turns it round.
ENDS_ARE_TAKEN: Final = (BALANCES, JOURNALS)


async def restored(
    kafka: Kafka,
    machine: Machine,
    steps: Steps,
    partitions: Sequence[int],
    append: Callable[[Sequence[Outgoing]], Awaitable[Offsets]],
) -> dict[Place, WatchedShelf]:
    """The shelves of these partitions, up to their changelogs' ends."""
    ends: dict[Place, int] = {}
    for tables in ENDS_ARE_TAKEN:
        ends |= {
            (table, each): kafka.end((changelog(table), each)) for table in tables for each in partitions
        }
        await Step()
    shelves: dict[Place, WatchedShelf] = {}
    found: dict[Place, tuple[MemoryChangelog, Restored]] = {}
    for tables in (JOURNALS, BALANCES):
        for place in product(tables, partitions):
            table, each = place
            log = MemoryChangelog(kafka, changelog(table), each)
            shelves[place] = machine.shelf(table, each, kafka, steps)
            found[place] = log, restore.restore(log, ends[place], shelves[place])
        await Step()
    for place, (log, known) in found.items():
        records = restore.repair_records(log, known)
        if records:
            written = await append(records)
            restore.repaired(shelves[place], ends[place], written[log.topic, log.partition])
    kafka.repaired |= {(changelog(table), each): end for (table, each), end in ends.items()}
    return shelves
