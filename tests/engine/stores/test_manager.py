"""Missing rows, a damaged database or a failing disk end the worker; it leaves a mark for the next one."""

from pathlib import Path

import pytest

from saga_app.core.decider import Service
from saga_app.core.errors import RowsMissing
from saga_app.core.numbers import Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.stores.errors import DiskFailed, StoreDamaged
from saga_app.engine.stores.manager import StoreManager, Superseded
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka import offsets
from saga_app.settings import Settings
from tests.support.given import PAYMENT

ROW = {b"a": b'{"version":1}'}


@pytest.fixture
def store_manager(tmp_path: Path) -> StoreManager:
    store_manager = StoreManager(Settings(data_dir_text=str(tmp_path)), [])
    store_manager._memory = Memory()
    return store_manager


def opened(store_manager: StoreManager) -> RocksStore:
    """The store of one place, with a row if it is not new."""
    store = store_manager._open("orders", 0)
    store_manager.stores["orders", 0] = store
    return store


def ended(store_manager: StoreManager, error: Exception) -> tuple[Exit, str]:
    """The exit code and the last words after this error."""
    with pytest.raises(Fatal) as how, store_manager.fatal_faults():
        raise error
    for store in store_manager.stores.values():
        store.close()
    return how.value.exit, how.value.text


def test_rows_that_are_missing_condemn_the_whole_store(store_manager: StoreManager) -> None:
    opened(store_manager).write(ROW, Offset(1))
    code, message = ended(store_manager, RowsMissing("deciding offset 7"))
    assert (code, message.startswith("deciding offset 7; the store is rebuilt")) == (Exit.ROWS_MISSING, True)
    store = opened(store_manager)
    assert (list(store.scan()), store.reached) == ([], 0)


def test_the_same_rows_missing_after_a_rebuild_are_a_bug(store_manager: StoreManager) -> None:
    opened(store_manager)
    assert ended(store_manager, RowsMissing("deciding offset 7"))[0] is Exit.ROWS_MISSING
    opened(store_manager)
    assert ended(store_manager, RowsMissing("deciding offset 7"))[0] is Exit.ROWS_MISSING_AGAIN


def test_other_rows_missing_long_after_a_rebuild_are_another_case(store_manager: StoreManager) -> None:
    opened(store_manager)
    assert ended(store_manager, RowsMissing("deciding offset 7"))[0] is Exit.ROWS_MISSING
    opened(store_manager)
    assert ended(store_manager, RowsMissing("deciding offset 7000"))[0] is Exit.ROWS_MISSING


def test_of_a_damaged_database_only_that_one_is_rebuilt(store_manager: StoreManager) -> None:
    opened(store_manager).write(ROW, Offset(1))
    other = store_manager._open("stock", 0)
    other.write(ROW, Offset(1))
    other.close()
    path = store_manager.stores["orders", 0].path
    code, message = ended(store_manager, StoreDamaged(path, Exception("Corruption: checksum")))
    assert code is Exit.STORE_DAMAGED and "orders-0.db is damaged" in message
    assert list(opened(store_manager).scan()) == []
    assert dict(store_manager._open("stock", 0).scan()) == ROW


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RowsMissing("deciding offset 7"), "before the next start"),
        (StoreDamaged(Path("/nowhere/orders-0.db"), Exception("Corruption")), "remove /nowhere/orders-0.db"),
    ],
)
def test_where_no_mark_can_be_left_a_person_is_asked_to_remove_the_files(
    store_manager: StoreManager, error: Exception, advice: str
) -> None:
    """The disk may be full, or gone."""
    store_manager.folder = Path("/nowhere")
    _, message = ended(store_manager, error)
    assert advice in message and "No such file" in message


def test_a_disk_that_fails_is_left_as_it_is(store_manager: StoreManager) -> None:
    opened(store_manager).write(ROW, Offset(1))
    assert ended(store_manager, DiskFailed("no room")) == (Exit.DISK_FAILED, "no room")
    assert dict(opened(store_manager).scan()) == ROW


def test_a_database_that_cannot_be_closed_ends_the_worker(
    store_manager: StoreManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one would not close either, and each takes a second."""
    store = opened(store_manager)

    def fails() -> None:
        raise DiskFailed("no room")

    monkeypatch.setattr(store, "close", fails)
    with pytest.raises(Fatal, match="no room"):
        store_manager.close()


def test_the_ends_of_balances_are_taken_while_the_journals_stand_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was replaced, and does not know it, writes between the first two looks."""
    store_manager = StoreManager(Settings(data_dir_text=str(tmp_path)), [Service("payment_events", PAYMENT)])
    journal, balances = ("payments", 0), ("accounts", 0)
    looks = iter([{journal: 1}, {balances: 1}, {journal: 3}, {balances: 2}, {journal: 3}])
    monkeypatch.setattr(offsets, "ends", lambda admin, places: next(looks))
    names = {"payments": "payments", "accounts": "accounts"}
    found = store_manager._ends(None, names, [0], lambda: True)  # type: ignore[arg-type]
    assert found == {journal: 3, balances: 2}
    assert not list(looks)


def test_a_restore_that_is_superseded_takes_no_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_manager = StoreManager(Settings(data_dir_text=str(tmp_path)), [Service("payment_events", PAYMENT)])
    monkeypatch.setattr(offsets, "ends", lambda admin, places: {})
    with pytest.raises(Superseded):
        store_manager._ends(None, {"payments": "p", "accounts": "a"}, [0], lambda: False)  # type: ignore[arg-type]
