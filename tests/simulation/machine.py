"""A machine with a disk, which outlives the workers on it."""

from collections import defaultdict
from collections.abc import Mapping

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from tests.simulation.kafka import Kafka
from tests.simulation.services import changelog
from tests.support.memory import Disk, MemoryStore, Steps


class WatchedStore(MemoryStore):
    """A store whose every write is checked."""

    def __init__(self, place: Place, disk: Disk, kafka: Kafka, steps: Steps) -> None:
        super().__init__(disk, steps)
        self.place = place
        self.kafka = kafka

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        super().write(rows, reached, inbox)
        table, partition = self.place
        watch = self.kafka.watch
        watch.stored(table, partition, rows, reached, self.kafka.end((changelog(table), partition)))
        if inbox is not None:
            watch.settles((watch.topic_of(table), partition), inbox, "a disk")


class Machine:
    """The disks of a machine, and its clock, `skew` milliseconds before Kafka's."""

    def __init__(self, name: str, skew: int = 0) -> None:
        self.name = name
        self.skew = skew
        self.disks: defaultdict[Place, Disk] = defaultdict(Disk)

    def store(self, table: str, partition: int, kafka: Kafka, steps: Steps) -> WatchedStore:
        return WatchedStore((table, partition), self.disks[table, partition], kafka, steps)

    def lose(self) -> None:
        """The disk is gone."""
        self.disks.clear()

    def lose_power(self, writes: Mapping[Place, int]) -> None:
        """The last writes of some tables are gone."""
        for place, count in writes.items():
            self.disks[place].lose(count)
