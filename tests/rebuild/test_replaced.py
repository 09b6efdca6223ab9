"""An inbox that was cut or made again, and grew beyond its rows: it is told from the one that the rows follow from."""

import pytest

from saga_app import topics
from saga_app.core.numbers import Offset, Version
from saga_app.engine.commit_note import CommitNote, InboxMark, note_in
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.positions import InboxPosition, InboxRange, position
from saga_app.kafka.messages import Place
from saga_app.rebuild import replaced
from saga_app.rebuild.advance import InboxLoss
from saga_app.rebuild.replaced import are_younger, is_advancing, is_another
from saga_app.settings import Settings

PLACE: Place = (topics.PAYMENT, 3)
WRITTEN = {5: 10_000, 7: 12_000}


def test_a_record_that_came_after_the_row_of_its_offset_is_another_than_the_one_that_was_decided() -> None:
    assert not are_younger([(5, 9_990), (6, 90_000), (7, 11_990)], WRITTEN)
    assert are_younger([(5, 9_990), (7, 90_000)], WRITTEN)


def test_the_clocks_of_two_brokers_make_no_record_younger_than_its_row() -> None:
    assert not are_younger([(5, 11_000)], WRITTEN)


def asked(monkeypatch: pytest.MonkeyPatch, note: str, *, cut: bool = False) -> bool:
    """`is_another` of an inbox with the topic id "new", whose broker says that the epoch's log was cut, or was not."""
    monkeypatch.setattr(replaced, "is_truncated", lambda *_: cut)
    return is_another(Settings(), PLACE, Offset(5), note, "new")


def test_an_inbox_is_another_if_its_topic_id_changed_or_its_leaders_log_was_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new, unknown = (
        CommitNote(InboxMark(*each), {}).encode() for each in (("old", 3), ("new", 3), ("new",))
    )
    assert asked(monkeypatch, old)
    assert asked(monkeypatch, new, cut=True)
    assert not asked(monkeypatch, new)
    assert not asked(monkeypatch, unknown, cut=True), "no epoch to ask about"
    assert not asked(monkeypatch, "", cut=True)


def test_an_inbox_that_is_being_moved_is_another_for_every_command_and_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = InboxLoss(PLACE, Offset(2), Offset(9), Offset(5), 3).note
    assert is_advancing(written) and asked(monkeypatch, written)
    note = note_in(written)
    assert note is not None and note.inbox is not None and note.inbox.epoch == 3, "a second run needs it"
    inbox = InboxRange("new", Offset(0), Offset(9))
    with pytest.raises(Fatal) as ended:
        position(PLACE, inbox, InboxPosition(Offset(5), note.inbox), None, Version(Offset(8)))
    assert ended.value.exit is Exit.INBOX_REPLACED and "run `saga advance` again" in str(ended.value)


def test_records_of_a_later_leader_and_those_that_were_never_committed_are_written_again() -> None:
    cut = InboxLoss(PLACE, Offset(95), Offset(120), committed=Offset(100), epoch=3)
    assert [cut.is_undecided(*each) for each in ((94, 3), (95, 4), (99, 4), (100, 3))] == [
        False,
        True,
        True,
        True,
    ]


def test_every_record_of_an_inbox_that_was_made_again_is_written_again() -> None:
    another = InboxLoss(PLACE, Offset(4), Offset(120), committed=Offset(100))
    assert another.is_undecided(0, 0) and another.is_undecided(3, None)
