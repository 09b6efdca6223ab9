"""The note beside a committed offset survives its way through Kafka; what is no note asks for nothing."""

import pytest

from saga_app.core.numbers import Offset
from saga_app.engine.commit_note import CommitNote, InboxMark, note_in
from saga_app.engine.stores.extent import MOST_TERMS, Demand, Extent, Term

TABLES = {
    "payments": Demand(Extent("MkTzWb3aQxK1a2b3c4d5eg", Offset(0), Offset(123_456_789_012))),
    "accounts": Demand(
        Extent("OkTzWb3aQxK1a2b3c4d5eg", Offset(7), Offset(8)), True, (Term("0a1b2c3d", Offset(7)),)
    ),
}


@pytest.mark.parametrize("inbox", [None, InboxMark("NkTzWb3aQxK1a2b3c4d5eg", 4)])
def test_a_note_is_read_as_it_was_written(inbox: InboxMark | None) -> None:
    note = CommitNote(inbox, TABLES)
    assert note_in(note.encode()) == note
    # A broker takes 4,096 bytes (offset.metadata.max.bytes).
    assert len(note.encode()) < 400
    many = tuple(Term("0a1b2c3d", Offset(123_456_789_012)) for _ in range(MOST_TERMS))
    most = {table: demand._replace(terms=many) for table, demand in TABLES.items()}
    assert len(note._replace(tables=most).encode()) < 2_048


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", "text", '{"v":2}', '{"v":1,"inbox":null}'])
def test_what_is_no_note_asks_for_nothing(text: str) -> None:
    assert note_in(text) is None
