"""Patience: the order, or the policy of its day, says when it is given up; its deadlines are spread over that time."""

from itertools import pairwise

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app import wire
from saga_app.core import checkout, patience
from saga_app.core.errors import Fault
from saga_app.core.records import DeadlinePassed, PolicyChanged, Record, StepName
from saga_app.core.rows import Status
from tests.support import examples
from tests.support.examples import cancel, cancelled, limit, placed
from tests.support.given import CHECKOUT, Story, given

PATIENCES = st.integers(1, patience.LONGEST)


def nudges(story: Story, most: int = 100) -> list[DeadlinePassed]:
    """The deadlines of an order that nobody answers, until it is given up."""
    sent: list[DeadlinePassed] = []
    while story.order().status is Status.OPEN and len(sent) < most:
        sent.append(checkout.deadline("o1", story.order()))
        story.when(sent[-1])
    return sent


@for_all(PATIENCES)
def test_the_last_deadline_falls_where_the_patience_ends(seconds: int) -> None:
    delays = list(patience.delays(seconds))
    assert sum(delays) == seconds * 1000 and min(delays) > 0
    assert [patience.delay(seconds, attempt) for attempt in range(len(delays))] == delays


@for_all(PATIENCES)
def test_a_patience_of_a_week_costs_few_nudges_and_none_comes_right_before_the_end(seconds: int) -> None:
    delays = list(patience.delays(seconds))
    assert len(delays) <= 30
    assert all(2 * last >= before for before, last in pairwise(delays[-2:]))
    longest = max(patience.LONGEST_DELAY, seconds * 1000 // patience.SHARE)
    assert max(delays) <= 1.5 * longest


def test_without_a_patience_deadlines_fall_as_ever() -> None:
    assert list(patience.delays(None)) == [30_000, 60_000, 120_000, 240_000, 480_000]
    assert list(patience.delays(patience.DEFAULT)) == list(patience.delays(None))


@pytest.mark.parametrize(("seconds", "tries"), [(1, 1), (45, 1), (60, 2), (930, 5), (3_600, 11)])
def test_an_order_is_asked_for_until_its_patience_ends(seconds: int, tries: int) -> None:
    sent = nudges(given(CHECKOUT, placed(patience=seconds)))
    assert [each.last for each in sent] == [False] * (tries - 1) + [True]


def test_an_order_without_a_patience_has_the_same_bytes_as_before() -> None:
    row = given(CHECKOUT, placed()).order()
    assert b"patience" not in row.encode() and b"patience" not in placed().order.canonical


def test_the_patience_of_an_order_is_part_of_its_content() -> None:
    given(CHECKOUT, placed(patience=60)).when(placed(patience=61)).is_dead(Fault.DIFFERENT_CONTENT)
    given(CHECKOUT, placed(patience=60)).when(placed()).is_dead(Fault.DIFFERENT_CONTENT)


def test_the_policy_says_it_for_orders_that_do_not() -> None:
    story = given(CHECKOUT, examples.patience("p1", 60), placed(), placed("o2", patience=3_600))
    assert (story.order().patience, story.order("o2").patience) == (60, 3_600)
    # The content stays what people sent, so the same order again is the same order under any policy.
    assert story.order().order == placed().order.canonical
    story.when(examples.patience("p2", 1)).when(placed()).changes_nothing()


def test_a_later_policy_changes_nothing_for_an_order_that_is_placed() -> None:
    story = given(CHECKOUT, placed(), examples.patience("p1", 1))
    assert [each.last for each in nudges(story)] == [False] * 4 + [True]
    assert story.when(placed("o2")).order("o2").patience == 1


def test_the_same_policy_twice_counts_once_and_other_content_is_a_dead_letter() -> None:
    story = given(CHECKOUT, examples.patience("p1", 60), examples.patience("p2", 90))
    story.when(examples.patience("p1", 60)).changes_nothing()
    assert story.when(placed()).order().patience == 90
    story.when(examples.patience("p1", 61)).is_dead(Fault.DIFFERENT_CONTENT)


def test_a_policy_of_the_route_leaves_the_patience_as_it_is_and_the_other_way_round() -> None:
    way = (StepName.INVENTORY, StepName.PAYMENT, StepName.SHIPPING)
    of_route = PolicyChanged(policy_id="p1", route=way)
    story = given(CHECKOUT, of_route, examples.patience("p2", 60), placed())
    assert (story.order().patience, b'"route":["inventory"' in story.order().order) == (60, True)
    story.when(PolicyChanged(policy_id="p3", route=way[::-1][1:] + way[-1:])).when(placed("o2"))
    assert story.order("o2").patience == 60


def test_a_policy_of_another_service_is_a_dead_letter_at_checkout() -> None:
    given(CHECKOUT).when(limit("p1", "5.00")).is_dead(Fault.INVALID)


def test_nobody_is_patient_with_an_order_that_is_being_cancelled() -> None:
    story = given(CHECKOUT, placed(patience=patience.LONGEST), cancel())
    waited = []
    for _ in range(6):
        waited.append(checkout.delay(story.order()))
        story.when(checkout.deadline("o1", story.order()))
    assert waited == [30_000, 60_000, 120_000, 240_000, 480_000, 480_000]


@pytest.mark.parametrize(
    "record", [placed(patience=3_600), examples.patience("p1", 3_600)], ids=["order", "policy"]
)
def test_it_is_written_and_read(record: Record) -> None:
    assert wire.decode(wire.encode(record)) == record


def test_a_step_request_carries_the_patience_of_the_order_and_not_that_of_a_policy() -> None:
    for record in (placed(patience=3_600), placed()):
        story = given(CHECKOUT, examples.patience("p1", 60)).when(record)
        assert story.decision is not None
        value = wire.encode(story.decision.sends[0])
        assert record.order.canonical in value and wire.decode(value) == story.decision.sends[0]


def test_an_order_that_has_ended_keeps_what_it_was() -> None:
    story = given(CHECKOUT, placed(patience=60), cancelled())
    assert story.order().patience == 60
