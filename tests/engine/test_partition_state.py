"""The partition state: rows of this round first, then rows of the store."""

from decimal import Decimal

import pytest

from saga_app.core.decider import Put
from saga_app.core.numbers import Offset, version_at
from saga_app.core.rows import JournalRow, State
from saga_app.engine import partition_state as view_module
from saga_app.engine.partition_state import PartitionState
from tests.support.examples import account
from tests.support.memory import Disk, MemoryStore

OLD = JournalRow(version_at(1), State.VOID, "c")
NEW = JournalRow(version_at(2), State.DONE, "c", done_at=Offset(2))


def state(**rows: JournalRow) -> PartitionState:
    data = {key.replace("_", ":").encode(): row.encode() for key, row in rows.items()}
    stores = {"payments": MemoryStore(Disk([(data, Offset(len(data)), None)])), "accounts": MemoryStore()}
    return PartitionState("payments", "accounts", stores)


def test_a_row_of_this_round_is_seen_before_the_row_on_disk() -> None:
    found = state(o1=OLD)
    assert found.journal("o1") == OLD
    found.put([Put("payments", "o1", NEW)])
    assert found.journal("o1") == NEW
    assert found.decided("payments") == {b"o1": NEW.encode()}


def test_after_the_round_the_row_is_the_one_that_was_written() -> None:
    found = state(o1=OLD)
    found.put([Put("payments", "o1", NEW)])
    found.stores["payments"].write(found.decided("payments"), Offset(1))
    found.clear()
    assert (found.journal("o1"), found.decided("payments")) == (NEW, {})


def test_however_many_rows_are_remembered_each_is_the_last_one_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_module, "MOST_RECENT", 3)
    found = state()
    for version in range(20):
        row = NEW._replace(version=version_at(version))
        found.put([Put("payments", f"o{version % 5}", row)])
        found.stores["payments"].write(found.decided("payments"), Offset(version))
        found.clear()
    rows = [found.journal(f"o{each}") for each in range(5)]
    assert [each and each.version for each in rows] == [15, 16, 17, 18, 19]


def test_tables_are_kept_apart() -> None:
    found = state()
    found.put([Put("accounts", "c1:GBP", account(1, "1", "1"))])
    assert found.decided("payments") == {}
    assert found.journal("c1:GBP") is None
    assert found.balance("c1:GBP") == account(1, "1", "1")


def test_an_owner_has_the_balances_on_disk_and_those_decided_since_each_once() -> None:
    found = state()
    for key, amount in (("c1:GBP", "1"), ("c1:EUR", "2"), ("c11:GBP", "9")):
        found.put([Put("accounts", key, account(1, amount, amount))])
    found.stores["accounts"].write(found.decided("accounts"), Offset(3))
    found.clear()
    found.put(
        [Put("accounts", "c1:GBP", account(5, "4", "4")), Put("accounts", "c1:JPY", account(6, "3", "3"))]
    )
    for _ in range(2):
        assert sorted(found.balances_of("c1")) == [
            account(1, "2", "2"),
            account(5, "4", "4"),
            account(6, "3", "3"),
        ]
    assert list(found.balances_of("c2")) == []


def test_the_policy_in_force_is_the_one_with_the_highest_version_then_the_one_decided_last() -> None:
    assert state().policy() is None
    found = state(
        policy_z=NEW._replace(limit=Decimal(1)),
        policy_a=NEW._replace(version=version_at(7), limit=Decimal(2)),
        o1=NEW._replace(version=version_at(9)),
    )
    assert found.policy() == NEW._replace(version=version_at(7), limit=Decimal(2))
    found.put([Put("payments", "policy:m", NEW._replace(version=version_at(8), limit=Decimal(3)))])
    assert found.policy() == NEW._replace(version=version_at(8), limit=Decimal(3))
