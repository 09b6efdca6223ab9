"""Where a worker begins to read: where the group or its store says, and never where the inbox lost what was decided."""

import pytest

from saga_app import topics
from saga_app.core.numbers import NEVER, Offset, version_at
from saga_app.engine.commit_note import InboxMark
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.positions import InboxPosition, InboxRange, position

PLACE = (topics.PAYMENT, 0)
OLD, NEW = "old", "new"


def at(offset: int | None, topic_id: str | None = None, epoch: int = -1) -> InboxPosition | None:
    if offset is None:
        return None
    return InboxPosition(Offset(offset), None if topic_id is None else InboxMark(topic_id, epoch))


def begin(
    group: InboxPosition | None,
    store: InboxPosition | None = None,
    *,
    newest: int = NEVER,
    first: int = 0,
    end: int = 100,
) -> InboxPosition:
    """Where it begins in an inbox `NEW`, whose records are those from `first` up to `end`."""
    inbox = InboxRange(NEW, Offset(first), Offset(end))
    return position(PLACE, inbox, group, store, version_at(newest))


def refused(
    group: InboxPosition | None, store: InboxPosition | None = None, **options: int
) -> tuple[Exit, str]:
    with pytest.raises(Fatal) as ended:
        begin(group, store, **options)
    return ended.value.exit, ended.value.text


@pytest.mark.parametrize(("committed", "inbox", "where"), [(5, None, 5), (5, 3, 5), (5, 8, 5), (None, 8, 8)])
def test_it_begins_where_the_group_or_the_store_says(
    committed: int | None, inbox: int | None, where: int
) -> None:
    assert begin(at(committed), at(inbox), first=2).at == where


def test_a_disk_that_is_further_decides_where_records_behind_the_commit_are_gone() -> None:
    assert begin(at(5), at(8), first=7).at == 8
    assert begin(at(5), at(6), first=7).at == 5, "the reader says what was cut"


def test_without_both_it_begins_at_the_first_record() -> None:
    assert begin(None).at == 0


def test_it_begins_at_the_first_that_is_left_where_its_rows_show_that_those_before_were_decided() -> None:
    assert begin(None, newest=8, first=9).at == 9


def test_it_ends_where_records_may_have_been_cut_that_nobody_decided() -> None:
    code, words = refused(None, newest=7, first=9)
    assert code is Exit.RECORDS_CUT and "must be read from offset 8 on, but it begins at 9" in words


def test_the_leader_epoch_is_that_of_the_position() -> None:
    assert begin(at(5, NEW, 3), at(8, NEW, 4)).epoch == 3
    assert begin(None, at(8, NEW, 4)).epoch == 4


@pytest.mark.parametrize(
    ("group", "store"),
    [(at(5, OLD), None), (None, at(5, OLD)), (at(5), at(5, OLD)), (at(5, OLD), at(5, NEW))],
)
def test_an_inbox_that_was_made_again_is_refused(
    group: InboxPosition | None, store: InboxPosition | None
) -> None:
    code, words = refused(group, store)
    assert code is Exit.INBOX_REPLACED and "its topic id was old and is new" in words


def test_an_inbox_that_ends_before_the_position_is_refused() -> None:
    code, words = refused(at(9), end=8)
    assert code is Exit.INBOX_CUT and "those up to offset 8 were decided, and it ends at 8" in words
    assert begin(at(9), end=9).at == 9


def test_an_inbox_that_ends_before_the_version_of_a_row_is_refused() -> None:
    """Its next record would have the offset of that row's: it would be taken for a replay."""
    assert refused(at(3), newest=5, end=5)[0] is Exit.INBOX_CUT
    assert refused(None, newest=5, end=0)[0] is Exit.INBOX_CUT
    assert begin(at(3), newest=5, end=6).at == 3


def test_a_disk_that_knows_an_older_inbox_than_the_group_does_not_decide_where_to_begin() -> None:
    assert begin(at(5, NEW, 2), at(8, OLD, 4)) == at(5, NEW, 2)
    assert begin(at(5, NEW, 4), at(8, NEW, 2)) == at(5, NEW, 4), "the log of the older leader was cut"
