"""Restore after an eviction: tombstones are rows with a version, and low watermarks tell which rows are late writes."""

import pytest

from saga_app.core.numbers import Offset, version_at
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.rows import Tombstone
from saga_app.engine.ports import row_record
from saga_app.engine.stores.restore import Restored, Seen, lacking, repair_records, repaired, restore
from saga_app.kafka.messages import Outgoing
from tests.support.memory import Disk, MemoryBroker, MemoryChangelog, MemoryStore

LOW_WATERMARK = ("low_watermark:0", LowWatermark(version_at(8), evicted_below=4).encode())
TOMBSTONE = ("a", Tombstone(version_at(8)).encode())
PURGED = (
    "low_watermark:0",
    LowWatermark(version_at(9), evicted_below=4, purged_below=4, segment_width=1).encode(),
)
NAMES = (
    "closed:0000000000000004",
    b'{"version":8,"segment":"0:3","order_ids":["a"],"first_segment":0,"closed_at":1}',
)


def row(version: int, segment: int) -> tuple[str, bytes]:
    """The row of order a."""
    return "a", b'{"version":%d,"segment":"0:%d"}' % (version, segment)


def changelog(*written: tuple[str, bytes]) -> MemoryChangelog:
    broker = MemoryBroker()
    for key, value in written:
        broker.append(row_record("log", 0, key.encode(), value))
    return MemoryChangelog(broker, "log", 0, 2)


def has_a(log: MemoryChangelog, repair: bool = True) -> bool:
    """True if a worker with an empty disk has the row after a restore. With `repair` the next worker must agree."""
    onto, end = MemoryStore(Disk()), log.end()
    restored = restore(log, end, onto)
    records = repair_records(log, restored) if repair else ()
    repaired(onto, end, restored.repairs, [log.broker.append(record) for record in records])
    if repair:
        assert has_a(log, repair=False) is (b"a" in onto.rows)
    return b"a" in onto.rows


def test_a_tombstone_removes_the_row() -> None:
    assert not has_a(changelog(row(1, 3), LOW_WATERMARK, TOMBSTONE))


def test_a_row_that_was_written_behind_its_tombstone_does_not_come_back() -> None:
    assert not has_a(changelog(row(1, 3), LOW_WATERMARK, TOMBSTONE, row(1, 3)))


def test_nor_does_it_where_the_tombstone_was_compacted_away() -> None:
    assert not has_a(changelog(LOW_WATERMARK, row(1, 3)))


def test_a_row_whose_tombstone_a_crash_left_out_is_dropped() -> None:
    assert not has_a(changelog(row(1, 3), LOW_WATERMARK))


@pytest.mark.parametrize("log", [(LOW_WATERMARK, TOMBSTONE), (LOW_WATERMARK,)])
def test_a_later_order_with_the_same_id_stays(log: tuple[tuple[str, bytes], ...]) -> None:
    assert has_a(changelog(row(1, 3), *log, row(9, 5)))


def test_a_late_tombstone_does_not_remove_a_later_order() -> None:
    assert has_a(changelog(row(1, 3), LOW_WATERMARK, TOMBSTONE, row(9, 5), TOMBSTONE))


def test_a_tombstone_that_none_of_ours_wrote_is_older_than_every_row() -> None:
    log = changelog(row(1, 3))
    log.broker.append(Outgoing("log", b"a", None, 0))
    assert has_a(log)


def test_the_row_stays_on_disk_until_its_tombstone_is_written() -> None:
    log, disk = changelog(row(1, 3), LOW_WATERMARK), Disk()
    for _ in range(2):
        restored = restore(log, log.end(), onto := MemoryStore(disk))
        assert b"a" in onto.rows
        assert set(restored.repairs) == {b"a"}


def test_small_rows_of_purged_orders_are_removed_with_the_row_that_names_them_wherever_they_lie() -> None:
    """The worker that purged them was stopped behind its low watermark, and a disk has read the small row long ago."""
    log, onto = changelog(row(8, 3), NAMES, PURGED), MemoryStore(Disk())
    restore(log, Offset(1), onto)
    restored = restore(log, log.end(), onto)
    assert [record.key for record in repair_records(log, restored)] == [b"a", NAMES[0].encode()]


def test_the_row_that_names_orders_is_removed_after_theirs_or_an_older_disk_could_not_find_them() -> None:
    log = changelog(row(8, 3), NAMES, ("z", b'{"version":8,"segment":"0:3"}'), PURGED)
    restored = restore(log, log.end(), MemoryStore(Disk()))
    assert [record.key for record in repair_records(log, restored)] == [b"a", b"z", NAMES[0].encode()]


def test_a_changelog_that_lost_everything_does_not_get_back_what_must_not_be_there() -> None:
    """A restore had met the row, and was stopped before it wrote the tombstone."""
    onto = MemoryStore(Disk())
    log = changelog(LOW_WATERMARK, row(1, 3))
    restore(log, log.end(), onto)
    assert b"a" in onto.rows
    found = dict(lacking(onto, Seen(), Restored(0, {})))
    assert found == {b"a": TOMBSTONE[1], b"low_watermark:0": LOW_WATERMARK[1]}


@pytest.mark.parametrize("key", ["low_watermark:GBP", "low_watermark:5"])
def test_a_customer_or_a_warehouse_may_be_called_low_watermark(key: str) -> None:
    log, onto = changelog((key, b'{"version":1,"received":4,"available":4}')), MemoryStore(Disk())
    restore(log, log.end(), onto)
    assert set(onto.rows) == {key.encode()}
