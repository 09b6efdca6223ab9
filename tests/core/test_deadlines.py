"""Deadlines: 30 s, doubling, five tries, then cancelling again and again with a capped delay."""

import pytest

from saga_app.core import checkout
from saga_app.core.records import DeadlinePassed, Reason, Record
from saga_app.core.rows import Status
from tests.support.examples import call_off, cancel, completed, deadline, pay, placed
from tests.support.given import BEGINNING, CHECKOUT, SECOND, Story, given

OF = placed().order


def nudge(story: Story) -> DeadlinePassed:
    """The nudge that the deadline timer would send now."""
    return checkout.deadline("o1", story.order())


@pytest.mark.parametrize(
    ("tries", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 240), (4, 480), (5, 480), (6, 480), (1000, 480)]
)
def test_each_try_waits_twice_as_long_and_at_most_eight_minutes(tries: int, seconds: int) -> None:
    row = given(CHECKOUT, placed()).order()._replace(tries=tries)
    assert checkout.due(row) == BEGINNING + seconds * SECOND


def test_an_order_that_never_answers_is_started_five_times_and_then_undone_again_and_again() -> None:
    story = given(CHECKOUT, placed()).then(pay(OF))
    sent: list[Record] = []
    for _ in range(8):
        story.when(nudge(story))
        assert story.decision is not None
        sent.extend(story.decision.sends)
    abort = call_off(OF, Reason.TIMED_OUT)
    assert sent == [pay(OF)] * 4 + [abort] * 4
    assert (story.order().status, story.order().reason) == (Status.CANCELLING, Reason.TIMED_OUT)


def test_only_the_fifth_deadline_is_the_last() -> None:
    story = given(CHECKOUT, placed())
    lasts = []
    for _ in range(7):
        record = nudge(story)
        lasts.append((record.attempt, record.last))
        story.when(record)
    assert lasts == [(0, False), (1, False), (2, False), (3, False), (4, True), (5, True), (6, True)]


def test_every_deadline_that_is_not_stale_raises_tries() -> None:
    story = given(CHECKOUT, placed())
    for tries in range(1, 8):
        assert story.when(nudge(story)).order().tries == tries
    story = given(CHECKOUT, placed(), cancel())
    assert story.when(nudge(story)).order().tries == 1


@pytest.mark.parametrize("attempt", [0, 2])
@pytest.mark.parametrize("last", [False, True])
def test_a_deadline_of_another_try_is_ignored(attempt: int, last: bool) -> None:
    story = given(CHECKOUT, placed(), deadline(attempt=0)).when(deadline(attempt=attempt, last=last))
    story.then().changes_nothing()


def test_the_same_deadline_twice_is_once() -> None:
    given(CHECKOUT, placed(), deadline()).when(deadline()).then().changes_nothing()


def test_the_record_says_if_it_is_the_last() -> None:
    """So the number of tries is not a setting of the decider."""
    story = given(CHECKOUT, placed()).when(deadline(last=True)).then(call_off(OF, Reason.TIMED_OUT))
    assert story.order().status is Status.CANCELLING


def test_an_order_cancelled_by_request_keeps_that_reason_past_its_last_deadline() -> None:
    story = given(CHECKOUT, placed(), cancel()).when(deadline(last=True))
    story.then(call_off(OF, Reason.REQUESTED))


def test_a_deadline_for_an_order_that_has_ended_or_is_unknown_is_ignored() -> None:
    given(CHECKOUT, placed(), completed()).when(deadline()).then().changes_nothing()
    given(CHECKOUT).when(deadline()).then().changes_nothing()
