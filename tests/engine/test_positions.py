"""Where a worker begins to read: where the group or its store says, and never behind records that nobody decided."""

from types import SimpleNamespace
from typing import Any

import pytest

from saga_app import topics
from saga_app.core.decider import Service
from saga_app.core.numbers import Offset, version_at
from saga_app.core.rows import JournalRow, State
from saga_app.engine import engine
from saga_app.engine.engine import Engine
from saga_app.engine.exits import Exit, Fatal
from saga_app.kafka import offsets
from tests.support.given import PAYMENT

PLACE = (topics.PAYMENT, 0)


def position(
    monkeypatch: pytest.MonkeyPatch,
    committed: int | None,
    inbox: int | None = None,
    rows: int = 0,
    first: int = 0,
) -> int:
    """Where it begins, by the group, the store, the versions of its rows (below `rows`), and the topic."""
    monkeypatch.setattr(engine, "Admin", lambda settings: None)
    monkeypatch.setattr(offsets, "beginnings", lambda admin, places: dict.fromkeys(places, first))
    row = [(b"o%d" % each, JournalRow(version_at(each), State.DONE, "x").encode()) for each in range(rows)]
    store = SimpleNamespace(inbox=inbox, scan=lambda prefix: iter(row))
    worker: Any = SimpleNamespace(
        settings=None,
        services=[Service(topics.PAYMENT, PAYMENT)],
        store_manager=SimpleNamespace(stores={("payments", 0): store}),
    )
    return Engine._positions(worker, {PLACE: None if committed is None else Offset(committed)})[PLACE]


@pytest.mark.parametrize(("committed", "inbox", "where"), [(5, None, 5), (5, 3, 5), (5, 8, 8), (None, 8, 8)])
def test_it_begins_where_the_group_or_the_store_says(
    monkeypatch: pytest.MonkeyPatch, committed: int | None, inbox: int | None, where: int
) -> None:
    assert position(monkeypatch, committed, inbox, first=2) == where


def test_without_both_it_begins_at_the_first_record(monkeypatch: pytest.MonkeyPatch) -> None:
    assert position(monkeypatch, None) == 0


def test_it_begins_at_the_first_that_is_left_where_its_rows_show_that_those_before_were_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert position(monkeypatch, None, rows=9, first=9) == 9


def test_it_ends_where_records_may_have_been_cut_that_nobody_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fatal, match="must be read from offset 8 on, but it begins at 9") as ended:
        position(monkeypatch, None, rows=8, first=9)
    assert ended.value.exit is Exit.RECORDS_CUT
