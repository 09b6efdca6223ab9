"""The tables of an owner: `StoreManager.restore`, step by step in memory; the store manager's own parts do the rest."""

from collections.abc import Sequence
from itertools import product

from saga_app.core.numbers import FIRST, Offset
from saga_app.engine.stores import restore
from saga_app.engine.stores.extent import LogRange, Remedy
from saga_app.engine.stores.manager import Read, StoreManager
from saga_app.engine.stores.restore import Seen
from saga_app.kafka.messages import Place
from tests.simulation.job import StopPoint
from tests.simulation.kafka import Kafka
from tests.simulation.machine import Machine
from tests.simulation.services import BALANCES, JOURNALS, changelog
from tests.support.memory import MemoryBroker, MemoryChangelog, Steps


class FixedChangelog(MemoryChangelog):
    """A changelog as a restore has found it."""

    def __init__(self, broker: MemoryBroker, topic: str, partition: int, end: Offset) -> None:
        super().__init__(broker, topic, partition)
        self._end = end

    def end(self) -> Offset:
        return self._end


class MachineStores(StoreManager):
    """The store manager over the disks of a machine."""

    def __init__(self, kafka: Kafka, machine: Machine, steps: Steps) -> None:
        self._open = lambda table, partition: machine.store(table, partition, kafka, steps)  # type: ignore[assignment, method-assign, return-value]
        self._changelog = changelog  # type: ignore[method-assign]
        self.kafka = kafka
        self.stores, self.demands, self.terms = {}, {}, {}

    def new_term(self) -> str:
        self.kafka.terms += 1
        return str(self.kafka.terms)

    async def restored(self, partitions: Sequence[int]) -> dict[Place, Read]:
        """As `StoreManager.restore` does it, with stops."""
        self.stores.clear()
        ends = await ends_of(self.kafka, partitions)
        logs = {
            place: LogRange(self.kafka.topic_id((changelog(place[0]), place[1])), FIRST, end)
            for place, end in ends.items()
        }
        remedies = self._remedies(logs)
        found = {}
        for tables in (JOURNALS, BALANCES):
            for place in product(tables, partitions):
                log, seen = FixedChangelog(self.kafka, changelog(place[0]), place[1], ends[place]), Seen()
                store = self._begin(place, logs[place], remedies[place])
                known = restore.restore(log, ends[place], store, FIRST, seen)
                found[place] = Read(log, known, seen, remedies[place] is Remedy.WRITE_AGAIN)  # type: ignore[arg-type]
            await StopPoint()
        return found


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
