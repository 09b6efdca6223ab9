"""What a worker does about rows that are missing, damaged databases and a failing disk: it ends, and leaves a mark."""

from pathlib import Path
from typing import NoReturn

import pytest

from saga_app.core.errors import RowsMissing
from saga_app.durable import changelogs
from saga_app.durable import library as library_module
from saga_app.durable.disk import DiskFailed, StoreDamaged
from saga_app.durable.fatal import Exit
from saga_app.durable.library import Library, Service, Superseded
from saga_app.durable.rocks import Memory, RocksShelf
from saga_app.settings import Settings
from tests.support.given import PAYMENT

ROW = {b"a": b'{"version":1}'}


class Ended(Exception):
    """The process would be gone."""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    def die(code: Exit, message: str) -> NoReturn:
        raise Ended(code, message)

    monkeypatch.setattr(library_module, "die", die)
    library = Library(Settings(data_dir_text=str(tmp_path)), [])
    library._memory = Memory()
    return library


def opened(library: Library) -> RocksShelf:
    """The shelf of one place, with a row if it is not new."""
    shelf = library._open("orders", 0, "topic-1")
    library.shelves["orders", 0] = shelf
    return shelf


def end(library: Library, error: Exception) -> None:
    """What the engine does after this error."""
    match error:
        case RowsMissing():
            library.condemn(error)
        case StoreDamaged():
            library.rebuild(error)
        case DiskFailed():
            library.surrender(error)


def ended(library: Library, error: Exception) -> tuple[Exit, str]:
    """The exit code and the last words after this error."""
    with pytest.raises(Ended) as how:
        end(library, error)
    for shelf in library.shelves.values():
        shelf.close()
    code, message = how.value.args
    return code, message


def test_rows_that_are_missing_condemn_the_whole_store(library: Library) -> None:
    opened(library).write(ROW, 1)
    code, message = ended(library, RowsMissing("deciding offset 7"))
    assert (code, message.startswith("deciding offset 7; the store is rebuilt")) == (Exit.ROWS_MISSING, True)
    shelf = opened(library)
    assert (list(shelf.scan()), shelf.reached) == ([], 0)


def test_the_same_rows_missing_after_a_rebuild_are_a_bug(library: Library) -> None:
    opened(library)
    assert ended(library, RowsMissing("deciding offset 7"))[0] is Exit.ROWS_MISSING
    opened(library)
    assert ended(library, RowsMissing("deciding offset 7"))[0] is Exit.ROWS_MISSING_AGAIN


def test_other_rows_missing_long_after_a_rebuild_are_another_case(library: Library) -> None:
    opened(library)
    assert ended(library, RowsMissing("deciding offset 7"))[0] is Exit.ROWS_MISSING
    opened(library)
    assert ended(library, RowsMissing("deciding offset 7000"))[0] is Exit.ROWS_MISSING


def test_of_a_damaged_database_only_that_one_is_rebuilt(library: Library) -> None:
    opened(library).write(ROW, 1)
    other = library._open("stock", 0, "topic-1")
    other.write(ROW, 1)
    other.close()
    path = library.shelves["orders", 0].path
    code, message = ended(library, StoreDamaged(path, Exception("Corruption: checksum")))
    assert code is Exit.STORE_DAMAGED and "orders-0.db is damaged" in message
    assert list(opened(library).scan()) == []
    assert dict(library._open("stock", 0, "topic-1").scan()) == ROW


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RowsMissing("deciding offset 7"), "before the next start"),
        (StoreDamaged(Path("/nowhere/orders-0.db"), Exception("Corruption")), "remove /nowhere/orders-0.db"),
    ],
)
def test_where_no_mark_can_be_left_a_person_is_asked_to_remove_the_files(
    library: Library, error: Exception, advice: str
) -> None:
    """The disk may be full, or gone."""
    library.folder = Path("/nowhere")
    _, message = ended(library, error)
    assert advice in message and "No such file" in message


def test_a_disk_that_fails_is_left_as_it_is(library: Library) -> None:
    opened(library).write(ROW, 1)
    assert ended(library, DiskFailed("no room")) == (Exit.DISK_FAILED, "no room")
    assert dict(opened(library).scan()) == ROW


def test_a_database_that_cannot_be_closed_ends_the_worker(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one would not close either, and each takes a second."""
    shelf = opened(library)

    def fails() -> None:
        raise DiskFailed("no room")

    monkeypatch.setattr(shelf, "close", fails)
    with pytest.raises(Ended, match="no room"):
        library.close()


def test_the_ends_of_balances_are_taken_while_the_journals_stand_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was replaced, and does not know it, writes between the first two looks."""
    library = Library(Settings(data_dir_text=str(tmp_path)), [Service("payment_events", PAYMENT)])
    journal, balances = ("payments", 0), ("accounts", 0)
    looks = iter([{journal: 1}, {balances: 1}, {journal: 3}, {balances: 2}, {journal: 3}])
    monkeypatch.setattr(changelogs, "ends", lambda admin, places: next(looks))
    names = {"payments": "payments", "accounts": "accounts"}
    found = library._ends(None, names, [0], lambda: True)  # type: ignore[arg-type]
    assert found == {journal: 3, balances: 2}
    assert not list(looks)


def test_a_restore_that_is_superseded_takes_no_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(Settings(data_dir_text=str(tmp_path)), [Service("payment_events", PAYMENT)])
    monkeypatch.setattr(changelogs, "ends", lambda admin, places: {})
    with pytest.raises(Superseded):
        library._ends(None, {"payments": "p", "accounts": "a"}, [0], lambda: False)  # type: ignore[arg-type]
