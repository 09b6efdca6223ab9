"""Closed orders leave: what is checked, what remains, and what still comes for an order that is gone."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pydantic import ValidationError

from saga_app.core import records
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.retention.rows import LowWatermark, Total
from saga_app.core.rows import ClosedOrder, Status
from tests.support.examples import (
    begun,
    cancel,
    cancelled,
    closed,
    completed,
    delivery,
    deposit,
    forgotten,
    left,
    order,
    pay,
    placed,
    refund,
    reserve,
    step_request,
)
from tests.support.given import CHECKOUT, INVENTORY, PAYMENT, SECOND, Story, given


def ended() -> Story:
    """Cohort 0 holds o1 (offset 1), which ended at offset 2."""
    return given(CHECKOUT, begun(), placed(), step_request(completed()))


def gone() -> Story:
    return ended().when(closed(0, 1, "o1"))


def forgot() -> Story:
    return gone().when(forgotten(0, 1))


def test_before_retention_began_orders_have_no_segment() -> None:
    assert given(CHECKOUT, placed()).order().segment is None


def test_orders_placed_close_together_are_one_segment_and_their_step_requests_say_so() -> None:
    story = given(CHECKOUT, begun(10), placed("o1"), placed("o2"))
    assert (story.order("o1").segment, story.order("o2").segment) == ("0:0", "0:0")
    assert story.decision is not None and story.decision.sends == (step_request(pay(order("o2"))),)


def test_a_replay_names_the_order_in_its_segment_again_where_that_row_was_lost() -> None:
    """Else its segment would leave without it, and a restore take its row for one that was written late."""
    story = given(CHECKOUT, begun(10), placed("o1"))
    whole = dict(story.rows.bytes)
    story.rows.bytes = {place: row for place, row in whole.items() if not place[1].startswith("segment:")}
    story.when(placed("o1"), offset=1).verdict(Verdict.REPEATED)
    assert story.rows.bytes == whole
    story.when(placed("o1"), offset=1).changes_nothing()


def test_an_order_that_ended_shrinks_and_every_service_is_told() -> None:
    story = gone().then(*(left(0, 1, "o1", step=step) for step in list(StepName)[1:]))
    row = story.rows.order("o1")
    assert row == ClosedOrder(3, Status.COMPLETED, "0:0", order().digest)
    assert story.rows.low_watermark(0) == LowWatermark(3, 1, kept=0, width=2)
    assert story.rows.entry("segment:0000000000000000") is None


@pytest.mark.parametrize(
    "record",
    [
        closed(0, 1, "o1", after=2 * SECOND),
        closed(0, 1, "o2"),
        closed(0, 2, "o1"),
        closed(1, 2, "o1"),
        closed(0, 0, "o1"),
    ],
    ids=["ended too lately", "not named", "the present segment", "not the next", "none"],
)
def test_nothing_leaves_that_must_not(record: Record) -> None:
    ended().when(record).verdict(Verdict.IGNORED).changes_nothing().then()


def test_an_open_order_keeps_its_segment() -> None:
    given(CHECKOUT, begun(), placed(), begun()).when(closed(0, 1, "o1")).verdict(
        Verdict.IGNORED
    ).changes_nothing().then()


def test_time_comes_from_the_records_alone() -> None:
    ended().when(closed(0, 1, "o1", after=SECOND)).verdict(Verdict.APPLIED)
    ended().when(closed(0, 1, "o1", after=SECOND + 1)).verdict(Verdict.IGNORED)


def test_a_repeat_closes_nothing_again_and_a_replay_sends_again() -> None:
    story = gone()
    sends = story.decision.sends if story.decision else ()
    story.when(closed(0, 1, "o1"), offset=3).verdict(Verdict.REPEATED).changes_nothing().then(*sends)
    story.when(closed(0, 1, "o1")).verdict(Verdict.IGNORED).changes_nothing().then()


@pytest.mark.parametrize("story", [gone, forgot], ids=["gone", "forgotten"])
@pytest.mark.parametrize(
    "record", [placed(), step_request(completed()), cancel()], ids=lambda record: record.type
)
def test_a_replay_of_what_came_before_does_nothing(story: object, record: Record) -> None:
    assert callable(story)
    story().when(record, offset=2).verdict(Verdict.IGNORED).changes_nothing().then()


def test_a_repeat_does_not_bring_a_gone_order_back() -> None:
    gone().when(placed()).verdict(Verdict.IGNORED).changes_nothing().then()
    gone().when(placed(amount="41.00")).is_dead(Fault.DIFFERENT_CONTENT)


def test_a_gone_order_cannot_be_cancelled_and_people_are_told() -> None:
    story = gone().when(cancel()).verdict(Verdict.IGNORED).changes_nothing()
    assert story.decision is not None and "too late" in (story.decision.note or "")


def test_another_ending_of_a_gone_order_is_a_contradiction() -> None:
    gone().when(step_request(cancelled())).is_dead(Fault.CONTRADICTION)


def test_a_forgotten_id_is_free_and_endings_of_the_old_order_do_not_reach_the_new_one() -> None:
    story = forgot()
    assert set(story.rows.bytes) == {("orders", "low_watermark:0")}
    story.when(step_request(completed())).is_dead(Fault.UNKNOWN_ORDER)
    story.when(placed(amount="7.00"))
    assert story.order().status is Status.OPEN
    story.when(step_request(completed())).is_dead(Fault.UNKNOWN_ORDER)


def test_a_closing_that_was_passed_over_is_passed_over_again_where_a_crash_cut_off_a_later_one() -> None:
    closing = closed(0, 1, "o1", after=SECOND + 1)
    story = ended().when(closing).verdict(Verdict.IGNORED)
    rows = dict(story.rows.bytes)
    story.when(closing).verdict(Verdict.APPLIED)
    after = dict(story.rows.bytes)
    story.rows.bytes = {**rows, ("orders", "o1"): after["orders", "o1"]}
    story.when(closing, offset=3).verdict(Verdict.IGNORED).changes_nothing().then()
    story.when(closing, offset=4).verdict(Verdict.APPLIED)
    assert story.rows.bytes == after


def test_small_rows_stay_until_they_are_old_enough() -> None:
    gone().when(forgotten(0, 1, after=2 * SECOND)).verdict(Verdict.IGNORED).changes_nothing()
    gone().when(forgotten(0, 2)).verdict(Verdict.IGNORED).changes_nothing()


def test_a_forgetting_that_a_crash_cut_off_is_finished() -> None:
    story = gone()
    rows = dict(story.rows.bytes)
    story.when(forgotten(0, 1))
    story.rows.bytes.update({key: row for key, row in rows.items() if key[1] != "low_watermark:0"})
    story.when(forgotten(0, 1), offset=4).verdict(Verdict.REPEATED)
    assert set(story.rows.bytes) == {("orders", "low_watermark:0")}


OF = order("o1", customer_id="c1")


def test_what_left_is_in_the_totals_and_no_row_remains() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), left(0, 1, "o1"))
    assert story.rows.journal("o1") is None
    assert story.rows.entry("evicted:c1:GBP") == Total(2, Decimal("-40.00"))
    assert str(story.account().balance) == "60.00"


def test_units_that_left_are_in_the_totals() -> None:
    first, second = (order(each, lines=[("a", 2)]) for each in ("o1", "o2"))
    there = given(
        INVENTORY, delivery("d1", a=5), step_request(reserve(first)), step_request(reserve(second), "0:1")
    )
    story = there.when(left(0, 1, "o1", step=StepName.INVENTORY)).when(
        left(1, 2, "o2", step=StepName.INVENTORY)
    )
    assert story.rows.entry("evicted:main:a") == Total(4, -4)


def test_an_order_that_was_undone_moved_nothing() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), step_request(refund(OF)), left(0, 1, "o1"))
    assert story.rows.entry("evicted:c1:GBP") is None


@pytest.mark.parametrize("record", [pay(OF), refund(OF, Reason.OUT_OF_STOCK)], ids=lambda each: each.type)
def test_a_step_request_of_a_segment_that_left_does_nothing(record: Record) -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), left(0, 1, "o1")).when(step_request(record))
    story.verdict(Verdict.IGNORED).changes_nothing().then()
    assert story.decision is not None and story.decision.note


def test_a_step_request_of_a_later_order_with_the_same_id_is_decided() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), left(0, 1, "o1")).when(
        step_request(pay(OF), "0:1")
    )
    story.verdict(Verdict.APPLIED)
    assert str(story.account().balance) == "20.00"


def test_totals_that_a_crash_left_alone_are_not_added_again() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)))
    rows = dict(story.rows.bytes)
    story.when(left(0, 1, "o1"))
    after = dict(story.rows.bytes)
    story.rows.bytes = {**rows, ("payments", "evicted:c1:GBP"): after["payments", "evicted:c1:GBP"]}
    story.when(left(0, 1, "o1"), offset=2).verdict(Verdict.APPLIED)
    assert story.rows.bytes == after


def test_rows_that_a_crash_left_behind_the_low_watermark_go_at_the_replay() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)))
    rows = dict(story.rows.bytes)
    story.when(left(0, 1, "o1"))
    after = dict(story.rows.bytes)
    story.rows.bytes = {**rows, **after}
    story.when(left(0, 1, "o1"), offset=2).verdict(Verdict.REPEATED)
    assert story.rows.bytes == after


def test_a_missing_record_is_an_alarm_and_nothing_leaves() -> None:
    story = given(PAYMENT, left(0, 1), step_request(pay(OF), "0:2"))
    story.when(left(2, 3, "o1")).is_dead(Fault.CONTRADICTION)
    story.when(left(0, 1)).verdict(Verdict.REPEATED).changes_nothing()


def test_a_replay_leaves_the_row_of_a_later_order_with_the_same_id() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), left(0, 1, "o1"), step_request(pay(OF), "0:1"))
    story.when(left(0, 1, "o1"), offset=2).verdict(Verdict.REPEATED).changes_nothing()
    story.when(step_request(pay(OF), "0:1"), offset=3).verdict(Verdict.REPEATED)
    assert str(story.account().balance) == "20.00"


def test_what_was_set_aside_as_too_early_does_nothing_at_a_replay() -> None:
    story = given(PAYMENT, left(0, 1), step_request(pay(OF), "0:2"))
    story.when(left(2, 3, "o1")).is_dead(Fault.CONTRADICTION)
    story.when(left(1, 2)).verdict(Verdict.APPLIED)
    story.when(left(2, 3, "o1"), offset=2).verdict(Verdict.REPEATED).changes_nothing()


def test_what_is_for_another_service_is_set_aside() -> None:
    given(PAYMENT).when(left(0, 1, step=StepName.SHIPPING)).is_dead(Fault.UNEXPECTED_RECORD)


def test_a_closing_that_knows_too_few_services_is_set_aside() -> None:
    evicted_order = records.EvictedOrder(order_id="o1", at=(0,))
    ended().when(closed(0, 1).model_copy(update={"orders": (evicted_order,)})).is_dead(Fault.INVALID)


@pytest.mark.parametrize("made", [closed, left], ids=["closed", "left"])
def test_only_so_many_segments_leave_at_once(made: Callable[[int, int], Record]) -> None:
    """Each of them is looked up: a record that names a million would hold up a worker for seconds."""
    made(7, 7 + records.MOST_SEGMENTS)
    with pytest.raises(ValidationError, match="segments leave at once"):
        made(7, 8 + records.MOST_SEGMENTS)


def test_an_order_is_named_once_by_those_that_leave() -> None:
    """It would be added to the totals twice."""
    with pytest.raises(ValidationError, match="leaves once"):
        left(0, 1, "o1", "o1")
