"""A changelog that lost rows is written again from a disk that holds them, and every other disk has them too."""

from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.core.numbers import FIRST, Offset
from saga_app.core.rows import version_of
from saga_app.engine.ports import contiguous, row_record
from saga_app.engine.stores.extent import Demand, Extent, LogRange, Remedy, RowsLost, remedy
from saga_app.engine.stores.restore import Seen, lacking, repair_records, restore
from tests.support.memory import Disk, MemoryBroker, MemoryChangelog, MemoryStore
from tests.support.profiles import examples

PLACE = ("log", 0)


def row(version: int) -> bytes:
    return b'{"version":%d,"x":1}' % version


class Following:
    """A disk, with the extents whose rows it holds, as `RocksStore` keeps them."""

    def __init__(self) -> None:
        self.store = MemoryStore(Disk())
        self.held = [Extent("a")]

    def follow(self, broker: MemoryBroker, topic_id: str, demand: Demand | None) -> Remedy:
        """Restores, and writes again what the changelog lost; as `StoreManager` does it."""
        log = MemoryChangelog(broker, *PLACE)
        which = remedy(LogRange(topic_id, FIRST, log.end()), demand, self.held)
        if which is Remedy.WRITE_AGAIN:
            self.held = [Extent(topic_id), *self.held]
            self.store.write({}, FIRST)
        seen, reached = Seen(), log.end()
        restored = restore(log, reached, self.store, seen=seen)
        if which is Remedy.WRITE_AGAIN:
            for key, value in list(lacking(self.store, seen, restored)):
                reached = contiguous(reached, [broker.append(row_record("log", 0, key, value))])
        for record in repair_records(log, restored):
            reached = contiguous(reached, [broker.append(record)])
        self.store.write({}, reached)
        self.held[0] = Extent(topic_id, FIRST, reached)
        return which


WRITES = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=12)


@for_all(WRITES, st.integers(0, 12), st.integers(0, 12), st.booleans())
@examples(300)
def test_the_newest_row_of_each_key_is_there_again_for_every_disk(
    keys: list[str], committed: int, left: int, made_again: bool
) -> None:
    broker = MemoryBroker()
    rows = {}
    for version, key in enumerate(keys):
        rows[key.encode()] = row(version)
        broker.append(row_record("log", 0, key.encode(), row(version)))
    disk = Following()
    disk.follow(broker, "a", None)
    demand = Demand(Extent("a", FIRST, Offset(min(committed, len(keys)))))
    del broker.logs[PLACE][left:]
    topic_id = "b" if made_again else "a"

    if remedy_or_lost(broker, topic_id, demand, []) is None:
        # Without the disk nobody decides.
        assert made_again or left < demand.extent.reached
    disk.follow(broker, topic_id, demand)
    assert disk.store.rows == rows
    again = Following()
    again.held = []
    whole = Demand(disk.held[0])
    assert remedy_or_lost(broker, topic_id, whole, []) is Remedy.ANEW
    restore(MemoryChangelog(broker, *PLACE), MemoryChangelog(broker, *PLACE).end(), again.store)
    assert {key: version_of(value) for key, value in again.store.rows.items()} == {
        key: version_of(value) for key, value in rows.items()
    }


def remedy_or_lost(broker: MemoryBroker, topic_id: str, demand: Demand, held: list[Extent]) -> Remedy | None:
    try:
        return remedy(LogRange(topic_id, FIRST, Offset(len(broker.logs[PLACE]))), demand, held)
    except RowsLost:
        return None


def test_a_changelog_that_is_long_enough_and_not_whole_is_trusted_by_no_other_disk() -> None:
    """A worker was killed on its way: it had committed the note that rows are being written again."""
    broker = MemoryBroker()
    for version in range(10):
        broker.append(row_record("log", 0, b"%d" % version, row(version)))
    demand = Demand(Extent("a", FIRST, Offset(6)), is_lost=True)
    assert remedy_or_lost(broker, "a", demand, []) is None
    assert remedy_or_lost(broker, "a", demand._replace(is_lost=False), []) is Remedy.ANEW
