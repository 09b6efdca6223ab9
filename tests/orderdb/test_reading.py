"""The health's reader of the order database: one connection for all readings, and a new one when that is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.postgres import Postgres
from saga_app.health.database import DatabaseReader
from saga_app.orderdb.database import Database, DatabaseEmpty
from saga_app.orderdb.queries import reading
from saga_app.settings import Settings
from tests.orderdb.batches import OrderCopy


@pytest.fixture
def reader(url: str, copy: OrderCopy) -> Iterator[DatabaseReader]:
    """A reader of a database that has been made."""
    reader = DatabaseReader(Settings(db_url=url))
    yield reader
    reader.close()


def test_one_connection_is_kept_for_all_readings(
    reader: DatabaseReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class CountedDatabase(Database):
        """It notes each one that is made."""

        def __init__(self, url: str, *, reads: bool = False) -> None:
            super().__init__(url, reads=reads)
            made.append(url)

    monkeypatch.setattr(reading, "Database", CountedDatabase)
    assert [reader.read().dead_letters for _ in range(3)] == [0, 0, 0]
    assert len(made) == 1


def test_a_reading_goes_on_over_a_new_connection_if_the_server_was_restarted(postgres: Postgres) -> None:
    url = postgres.create("read_again")
    copy = OrderCopy(url)
    reader = DatabaseReader(Settings(db_url=url))
    assert reader.read().copied == {}
    copy.close()
    postgres.stop()
    try:
        with pytest.raises(ConnectionRefusedError):
            reader.read()
    finally:
        postgres.start()
    assert reader.read().copied == {}
    postgres.stop()
    postgres.start()
    assert reader.read().copied == {}, "no reading fails, though the connection is broken"
    reader.close()


def test_a_file_that_was_removed_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    copy, reader = OrderCopy(f"sqlite:///{path}"), DatabaseReader(Settings(db_url=f"sqlite:///{path}"))
    assert reader.read().alive_at is None
    copy.close()
    path.unlink()
    with pytest.raises(DatabaseEmpty):
        reader.read()
    OrderCopy(f"sqlite:///{path}").close()
    assert reader.read().alive_at is None
    reader.close()
