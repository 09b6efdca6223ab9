"""Restore where orders have left: tombstones are rows with a version, and horizons say what was written late."""

import pytest

from saga_app.core.horizons import Horizon
from saga_app.core.rows import Nothing
from saga_app.durable.ports import Outgoing, row_record
from saga_app.durable.restore import repair_records, restore
from tests.support.memory import Broker, Disk, MemoryChangelog, MemoryShelf

HORIZON = ("horizon:0", Horizon(8, below=4).encode())
GONE = ("a", Nothing(8).encode())


def row(version: int, cohort: int) -> tuple[str, bytes]:
    """The row of order a."""
    return "a", b'{"version":%d,"cohort":"0:%d"}' % (version, cohort)


def changelog(*written: tuple[str, bytes]) -> MemoryChangelog:
    broker = Broker()
    for key, value in written:
        broker.append(row_record("log", 0, key.encode(), value))
    return MemoryChangelog(broker, "log", 0, 2)


def has_a(log: MemoryChangelog, repair: bool = True) -> bool:
    """Whether a worker with an empty disk has the row afterwards; with `repair` the next one too."""
    onto = MemoryShelf(Disk())
    restored = restore(log, log.end(), onto)
    for record in repair_records(log, restored) if repair else ():
        log.broker.append(record)
    if repair:
        assert has_a(log, repair=False) is (b"a" in onto.rows)
    return b"a" in onto.rows


def test_a_tombstone_removes_the_row() -> None:
    assert not has_a(changelog(row(1, 3), HORIZON, GONE))


def test_a_row_that_was_written_behind_its_tombstone_does_not_come_back() -> None:
    assert not has_a(changelog(row(1, 3), HORIZON, GONE, row(1, 3)))


def test_nor_does_it_where_the_tombstone_was_compacted_away() -> None:
    assert not has_a(changelog(HORIZON, row(1, 3)))


def test_a_row_whose_tombstone_a_crash_left_out_is_dropped() -> None:
    assert not has_a(changelog(row(1, 3), HORIZON))


@pytest.mark.parametrize("log", [(HORIZON, GONE), (HORIZON,)])
def test_a_later_order_with_the_same_id_stays(log: tuple[tuple[str, bytes], ...]) -> None:
    assert has_a(changelog(row(1, 3), *log, row(9, 5)))


def test_a_late_tombstone_does_not_remove_a_later_order() -> None:
    assert has_a(changelog(row(1, 3), HORIZON, GONE, row(9, 5), GONE))


def test_a_tombstone_that_none_of_ours_wrote_is_older_than_every_row() -> None:
    log = changelog(row(1, 3))
    log.broker.append(Outgoing("log", b"a", None, 0))
    assert has_a(log)
