"""A machine with a disk, which outlives the workers on it."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from saga_app.core.numbers import FIRST, Offset
from saga_app.engine.commit_note import InboxMark
from saga_app.engine.stores.extent import Extent
from saga_app.kafka.messages import Place
from tests.simulation.kafka import Kafka
from tests.simulation.services import changelog
from tests.support.memory import Disk, MemoryStore, Steps


class Follows(NamedTuple):
    """Which changelog a store follows, from where on, and what it holds of others; as `RocksStore` keeps them."""

    topic_id: str | None = None
    first: Offset = FIRST
    term: str = ""
    before: tuple[Extent, ...] = ()


class WatchedDisk(Disk):
    """A disk that keeps with each state which changelog was followed in it."""

    def __init__(self) -> None:
        super().__init__()
        self.follows = [Follows()]

    def lose(self, writes: int) -> None:
        super().lose(writes)
        del self.follows[len(self.states) :]

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


class WatchedStore(MemoryStore):
    """A store whose every write is checked."""

    disk: WatchedDisk
    #: The inboxes here are never made again.
    mark: InboxMark | None = None

    def __init__(self, place: Place, disk: WatchedDisk, kafka: Kafka, steps: Steps) -> None:
        super().__init__(disk, steps)
        self.place = place
        self.kafka = kafka

    @property
    def topic_id(self) -> str | None:
        return self.disk.follows[-1].topic_id

    @property
    def held(self) -> tuple[Extent, ...]:
        """See `RocksStore.held`."""
        topic_id, first, term, before = self.disk.follows[-1]
        return () if topic_id is None else (Extent(topic_id, first, self.reached, term), *before)

    def belong_to(self, topic_id: str, first: Offset = FIRST, term: str = "") -> None:
        self._follow(Follows(topic_id, first, term), self.reached)

    def begin_again(self, topic_id: str, first: Offset, term: str = "") -> None:
        self._follow(Follows(topic_id, first, term, self.held), first)

    def empty(self, why: str) -> None:
        self.disk.clear()

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        super().write(rows, reached, inbox)
        self.disk.follows.append(self.disk.follows[-1])
        table, partition = self.place
        watch = self.kafka.watch
        watch.stored(table, partition, rows, reached, self.kafka.end((changelog(table), partition)))
        if inbox is not None:
            watch.settles((watch.topic_of(table), partition), inbox, "a disk")

    def _follow(self, follows: Follows, reached: Offset) -> None:
        if (follows, reached) != (self.disk.follows[-1], self.reached):
            super().write({}, reached)
            self.disk.follows.append(follows)


class Machine:
    """The disks of a machine, and its clock, `skew` milliseconds before Kafka's."""

    def __init__(self, name: str, skew: int = 0) -> None:
        self.name = name
        self.skew = skew
        self.disks: defaultdict[Place, WatchedDisk] = defaultdict(WatchedDisk)
        #: True if its worker found rows lost that these disks do not hold, and nobody has mended that.
        self.refused = False

    def store(self, table: str, partition: int, kafka: Kafka, steps: Steps) -> WatchedStore:
        return WatchedStore((table, partition), self.disks[table, partition], kafka, steps)

    def lose(self) -> None:
        """The disk is gone."""
        self.disks.clear()

    def lose_power(self, writes: Mapping[Place, int]) -> None:
        """The last writes of some tables are gone."""
        for place, count in writes.items():
            self.disks[place].lose(count)
