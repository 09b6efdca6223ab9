"""A rebuild refuses, before it changes anything, where an inbox lacks a record below its committed offset."""

import pytest

from saga_app import topics
from saga_app.audit.cuts import Limits
from saga_app.core.numbers import Offset
from saga_app.engine.commit_note import REBUILDING
from saga_app.kafka.messages import Place
from saga_app.rebuild.advance import InboxLoss
from saga_app.rebuild.compare import is_in
from saga_app.rebuild.fold import Gap
from saga_app.rebuild.survey import CannotRebuild, must_be_whole, nothing_else_is_unfinished

PLACE: Place = (topics.PAYMENT, 3)


def limits(first: int = 0, committed: int = 5, end: int = 9, known: int = 0) -> Limits:
    """The inbox partition's beginning, committed offset and end; how far a checkpoint knows it."""
    one, two, three = ({PLACE: Offset(each)} for each in (first, committed, end))
    return Limits(one, two, {}, three, {PLACE: Offset(known)} if known else {})


@pytest.mark.parametrize(
    "given", [limits(), limits(committed=9), limits(committed=0), limits(first=4, known=4)]
)
def test_an_inbox_with_every_record_is_folded(given: Limits) -> None:
    must_be_whole(given, PLACE)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            limits(first=1),
            r"payment_events\[3\] begins at offset 1, so the records before .* give --checkpoint DIR",
        ),
        (limits(first=5, known=4), "begins at offset 5, and the checkpoint ends at 4"),
        (
            limits(committed=10),
            r"payment_events\[3\] ends at offset 9, but 10 is committed: .*`saga advance`",
        ),
        (limits(known=6), "the checkpoint ends at offset 6 .* behind the committed offset 5"),
    ],
)
def test_an_inbox_that_lost_records_is_refused_with_its_place(given: Limits, words: str) -> None:
    with pytest.raises(CannotRebuild, match=words):
        must_be_whole(given, PLACE)


def test_one_command_does_not_clear_the_mark_of_the_other() -> None:
    moving = InboxLoss(PLACE, Offset(2), Offset(5)).note
    rebuild, advance = "saga rebuild --from-inboxes", "saga advance"
    nothing_else_is_unfinished(rebuild, [(Offset(1), ""), (Offset(2), REBUILDING)])
    nothing_else_is_unfinished(advance, [(Offset(1), ""), (Offset(2), moving)])
    with pytest.raises(CannotRebuild, match="`saga advance` was begun and did not end"):
        nothing_else_is_unfinished(rebuild, [(Offset(1), ""), (Offset(2), moving)])
    with pytest.raises(CannotRebuild, match="`saga rebuild --from-inboxes` was begun and did not end"):
        nothing_else_is_unfinished(advance, [(Offset(2), REBUILDING)])


def test_an_offset_is_in_a_gap_or_beside_it() -> None:
    gaps = [Gap(2, 3), Gap(5, 8)]
    assert [offset for offset in range(10) if is_in(gaps, offset)] == [2, 5, 6, 7]
