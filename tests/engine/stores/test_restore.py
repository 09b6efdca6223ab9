"""Restore: the highest version of each key wins, and it is written again if a stale row lies behind it."""

from contextlib import suppress

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import topics
from saga_app.core.errors import RowsMissing
from saga_app.core.numbers import Offset
from saga_app.core.records import Record
from saga_app.engine.stores.restore import Restored, repair_records, repaired, restore
from saga_app.kafka.messages import WRITTEN_AGAIN, Outgoing
from tests.support.examples import deposit, order, pay, refund
from tests.support.given import PAYMENT
from tests.support.memory import (
    Disk,
    MemoryBroker,
    MemoryChangelog,
    MemoryStore,
    MemoryWorker,
    Steps,
    Stop,
    Stopped,
    message,
)
from tests.support.profiles import examples

Written = tuple[str, int]


def row(version: int) -> bytes:
    return b'{"version":%d,"x":"%d"}' % (version, version)


def changelog(*written: Written, chunk: int = 2) -> MemoryChangelog:
    """A changelog with these keys and versions, in this sequence."""
    broker = MemoryBroker()
    for key, version in written:
        broker.append(Outgoing("log", key.encode(), row(version), 0))
    return MemoryChangelog(broker, "log", 0, chunk)


def store(reached: int = 0, **versions: int) -> MemoryStore:
    rows = {key.encode(): row(version) for key, version in versions.items()}
    return MemoryStore(Disk([(rows, Offset(reached), None)]))


def restored(log: MemoryChangelog, onto: MemoryStore, end: int | None = None) -> Restored:
    return restore(log, log.end() if end is None else Offset(end), onto)


def held(found: MemoryStore) -> dict[str, bytes]:
    return {key.decode(): value for key, value in found.rows.items()}


def test_every_row_is_there_afterwards_and_reached_is_the_end() -> None:
    onto = store()
    result = restored(changelog(("a", 0), ("b", 1), ("a", 2)), onto)
    assert (held(onto), onto.reached) == ({"a": row(2), "b": row(1)}, 3)
    assert result == Restored(3, {})


def test_nothing_to_read_is_nothing_to_do() -> None:
    onto = store()
    assert restored(changelog(), onto) == Restored(0, {})
    assert onto.reached == 0


def test_it_reads_from_where_the_store_has_reached() -> None:
    onto = store(2, a=1)
    assert restored(changelog(("z", 0), ("a", 1), ("b", 2)), onto).rows == 1
    assert held(onto) == {"a": row(1), "b": row(2)}


def test_it_reads_no_further_than_it_was_told() -> None:
    """Balances must not run ahead of the journal."""
    onto = store()
    restored(changelog(("a", 0), ("a", 1), ("a", 2), chunk=5), onto, end=2)
    assert (held(onto), onto.reached) == ({"a": row(1)}, 2)


@pytest.mark.parametrize("chunk", [1, 2, 3, 9])
def test_the_highest_version_wins_and_an_old_row_behind_it_is_repaired(chunk: int) -> None:
    onto = store()
    log = changelog(("a", 5), ("b", 1), ("a", 3), ("c", 4), chunk=chunk)
    result = restored(log, onto)
    assert held(onto) == {"a": row(5), "b": row(1), "c": row(4)}
    assert result.repairs == {b"a": row(5)}


def test_the_highest_version_wins_over_what_is_on_disk_and_the_disk_over_older_ones() -> None:
    onto = store(1, a=5, b=1)
    result = restored(changelog(("a", 5), ("a", 3), ("b", 2)), onto)
    assert held(onto) == {"a": row(5), "b": row(2)}
    assert result.repairs == {b"a": row(5)}


def test_reached_stops_before_the_first_row_that_is_not_repaired() -> None:
    onto = store()
    restored(changelog(("a", 5), ("b", 6), ("b", 1), ("a", 3), ("c", 7)), onto)
    assert onto.reached == 2


def test_a_key_that_was_written_again_already_needs_no_repair() -> None:
    for last in (5, 6):
        onto = store()
        log = changelog(("a", 5), ("a", 3), ("a", last))
        assert restored(log, onto).repairs == {}
        assert (held(onto), onto.reached) == ({"a": row(last)}, 3)


def test_an_old_row_behind_the_repair_is_repaired_again() -> None:
    onto = store()
    assert restored(changelog(("a", 5), ("a", 3), ("a", 5), ("a", 2)), onto).repairs == {b"a": row(5)}
    assert onto.reached == 3


def test_repairs_go_to_the_same_changelog_partition_and_say_that_they_are_older_than_their_time() -> None:
    log = changelog(("a", 5), ("a", 3))
    assert repair_records(log, restored(log, store())) == [
        Outgoing("log", b"a", row(5), 0, ((WRITTEN_AGAIN, b"1"),))
    ]


def test_a_worker_that_is_stopped_before_its_repair_meets_the_old_row_again() -> None:
    log, disk = changelog(("a", 5), ("b", 6), ("a", 3), ("c", 7)), Disk()
    for _ in range(3):
        assert restored(log, MemoryStore(disk)).repairs == {b"a": row(5)}
    disk.lose(1)
    assert restored(log, MemoryStore(disk)).repairs == {b"a": row(5)}


@pytest.mark.parametrize("chunk", [1, 2, 3])
@pytest.mark.parametrize("writes", range(6))
def test_a_worker_that_is_stopped_in_its_restore_meets_the_old_row_again(chunk: int, writes: int) -> None:
    log = changelog(("a", 5), ("b", 6), ("a", 3), ("c", 7), chunk=chunk)
    onto = MemoryStore(Disk(), Steps(Stop("restore: write", writes + 1)))
    with suppress(Stopped):
        restored(log, onto)
    onto.steps = None
    assert restored(log, onto).repairs == {b"a": row(5)}
    assert held(onto) == {"a": row(5), "b": row(6), "c": row(7)}


def test_once_repaired_all_that_was_read_is_held_and_what_follows_without_a_gap() -> None:
    for offsets, reached in (([4, 5], 6), ([5], 4), ([4, 6], 5), ([], 4)):
        onto = store(2)
        repaired(onto, Offset(4), {}, [*map(Offset, offsets)])
        assert onto.reached == reached


def restored_beside_a_zombie(ends_first: bool) -> tuple[MemoryWorker, MemoryWorker]:
    """A paused worker writes its journal and its balances between its successor's restores of the two.

    The successor, and after it a worker that reads everything anew.
    """
    broker, of = MemoryBroker(), order(customer_id="c1")
    records: list[Record] = [deposit(), pay(of), refund(of)]
    inbox = [message(each, at) for at, each in enumerate(records)]
    first, zombie = (MemoryWorker(broker, topics.PAYMENT, PAYMENT, committed=at) for at in (0, 1))
    first.start()
    first.run(inbox[:1])
    zombie.start()

    def write() -> None:
        if zombie.position == 1:
            zombie.run(inbox[:2])

    heir = MemoryWorker(broker, topics.PAYMENT, PAYMENT, committed=1, between=write, ends_first=ends_first)
    heir.start()
    assert b"o1" not in heir.rows.journal
    heir.run(inbox)
    third = MemoryWorker(broker, topics.PAYMENT, PAYMENT, committed=3)
    third.start()
    return heir, third


def test_the_end_of_the_balances_is_taken_before_that_of_the_journal() -> None:
    """So that balances never run ahead of the journal."""
    heir, third = restored_beside_a_zombie(ends_first=True)
    assert third.rows == heir.rows
    assert b'"balance":"100.00"' in heir.rows.balances[b"c1:GBP"]


def test_were_it_taken_later_rows_would_be_missing() -> None:
    with pytest.raises(RowsMissing):
        restored_beside_a_zombie(ends_first=False)


HISTORIES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), max_size=10)


@for_all(HISTORIES, st.integers(1, 4), st.lists(st.integers(0, 10), max_size=3))
@examples(300)
def test_restoring_in_any_number_of_pieces_gives_the_highest_versions_and_repairs_the_rest(
    history: list[Written], chunk: int, ends: list[int]
) -> None:
    """Restores up to some ends, each without its repair, then one to the end with it; then compaction."""
    log, onto = changelog(*history, chunk=chunk), store()
    for end in sorted(ends):
        restored(log, onto, min(end, log.end()))
    end = log.end()
    result = restored(log, onto)
    highest = {key: row(max(each for of, each in history if of == key)) for key, _ in history}
    assert held(onto) == highest
    for record in repair_records(log, result):
        log.broker.append(record)
    repaired(onto, end, result.repairs, [*map(Offset, range(end, log.end()))])
    assert onto.reached == log.end()
    last = {(each.key or b"").decode(): each.value for each in log.rows}
    assert last == highest, "compaction would keep an old row"
