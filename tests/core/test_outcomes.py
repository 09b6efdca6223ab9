"""The outcomes that checkout tells: each ending once, again on a replay, and no more once the order is evicted."""

import pytest

from saga_app.core.outcome import OutcomePut
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.rows import Status
from tests.support.examples import (
    cancel,
    cancelled,
    completed,
    deadline,
    placed,
    retention_started,
    segments_closed,
    segments_purged,
    step_request,
)
from tests.support.given import CHECKOUT, Story, given

REFUSED = cancelled("o1", Reason.OUT_OF_STOCK, StepName.INVENTORY)


def told(story: Story) -> tuple[OutcomePut, ...]:
    assert story.decision is not None
    return story.decision.outcomes


@pytest.mark.parametrize("end", [completed(), REFUSED], ids=lambda record: record.type)
def test_the_decision_that_ends_an_order_tells_its_row(end: Record) -> None:
    story = given(CHECKOUT, placed(), end)
    assert told(story) == (OutcomePut("o1", story.order().version, story.order()),)


def test_the_outcome_has_the_reason_of_the_row_and_not_that_of_the_first_wish_to_cancel() -> None:
    story = given(CHECKOUT, placed(), cancel(), REFUSED)
    ((_, _, row),) = told(story)
    assert row is not None and (row.status, row.reason) == (Status.CANCELLED, Reason.OUT_OF_STOCK)


@pytest.mark.parametrize("record", [placed(), cancel(), deadline(), deadline(last=True)], ids=repr)
def test_nothing_is_told_of_an_open_order(record: Record) -> None:
    assert not told(given(CHECKOUT, placed(), record))


@pytest.mark.parametrize("record", [placed(), cancel(), deadline(), completed()], ids=repr)
def test_what_comes_after_the_end_tells_nothing_more(record: Record) -> None:
    assert not told(given(CHECKOUT, placed(), completed(), record))


def test_a_replay_of_the_ending_tells_the_same_again_and_one_of_its_placing_does_not() -> None:
    story = given(CHECKOUT, placed(), completed())
    first = told(story)
    assert not told(story.when(placed(), offset=0))
    assert told(story.when(completed(), offset=1)) == first


def test_an_eviction_removes_the_outcome_and_a_replay_of_it_again() -> None:
    story = given(CHECKOUT, retention_started(), placed(), step_request(completed()))
    story.when(segments_closed(0, 1, "o1"))
    assert told(story) == (OutcomePut("o1", story.rows.order("o1").version, None),)  # type: ignore[union-attr]
    assert told(story.when(segments_closed(0, 1, "o1"), offset=3)) == told(story)
    assert not told(story.when(segments_purged(0, 1)))


def test_after_the_eviction_a_replay_of_the_ending_tells_nothing() -> None:
    story = given(CHECKOUT, retention_started(), placed(), step_request(completed()))
    story.when(segments_closed(0, 1, "o1"))
    assert not told(story.when(step_request(completed()), offset=2))
