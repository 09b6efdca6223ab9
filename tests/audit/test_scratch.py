"""The scratch stores of an audit: few rows stay in memory, many go to a database, and nobody sees which."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_app.audit import scratch
from saga_app.audit.scratch import FOLDED, Stores
from saga_app.core.numbers import FIRST, NEVER
from saga_app.core.rows import Tombstone
from tests.audit.world import AuditWorld

PLACE = ("orders", 0)
ROWS = st.dictionaries(
    st.sampled_from([b"a", b"ab", b"b", b"c", b"\xff"]),
    st.sampled_from([Tombstone(NEVER).encode(), b"", b"x", b"y" * 200, b"\0\xff"]),
)


def rows_of(folder: Path, *, read_only: bool = False) -> list[tuple[bytes, bytes]]:
    with Stores(folder, read_only=read_only) as stores:
        return list(stores.store(FOLDED, PLACE).scan())


def fill(folder: Path, *writes: Mapping[bytes, bytes]) -> None:
    """Each write in a store that was opened anew."""
    for rows in writes:
        with Stores(folder) as stores:
            stores.store(FOLDED, PLACE).write(rows, FIRST)


def test_a_store_of_few_rows_is_no_database_and_keeps_them(tmp_path: Path) -> None:
    fill(tmp_path, {b"b": b"2", b"a": b"1"}, {b"c": b"3", b"a": Tombstone(NEVER).encode()})
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert rows_of(tmp_path) == rows_of(tmp_path, read_only=True) == [(b"b", b"2"), (b"c", b"3")]


def test_a_store_that_grows_becomes_a_database_with_the_rows_that_it_had(tmp_path: Path) -> None:
    large = b"x" * scratch.MOST_IN_MEMORY
    fill(tmp_path, {b"a": b"1"}, {b"b": large})
    assert [path.is_dir() for path in tmp_path.iterdir()] == [True]
    assert rows_of(tmp_path, read_only=True) == [(b"a", b"1"), (b"b", large)]


@given(st.lists(ROWS, max_size=6))
def test_in_memory_and_in_a_database_a_store_gives_the_same_rows(writes: list[dict[bytes, bytes]]) -> None:
    found = []
    for most in (0, 300, 1 << 30):
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(scratch, "MOST_IN_MEMORY", most)
            fill(Path(folder), *writes)
            found.append(rows_of(Path(folder)))
    assert found[0] == found[1] == found[2]


def test_an_audit_finds_the_same_breaches_with_databases_as_in_memory(
    shop: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.rewrite(*shop.row("accounts", "c1:GBP"), balance="91.00")
    in_memory = shop.audit()
    monkeypatch.setattr(scratch, "MOST_IN_MEMORY", 0)
    in_databases = shop.audit()
    assert not in_memory.holds
    assert [str(each) for each in in_memory.breaches] == [str(each) for each in in_databases.breaches]
    assert in_memory.figures == in_databases.figures
