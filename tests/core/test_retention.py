"""Retention: checks before orders are evicted, the rows that remain, and late records about them."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pydantic import ValidationError

from saga_app.core import records
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.numbers import version_at
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.retention.rows import EarlyCancellation, LowWatermark, Total
from saga_app.core.route import DEFAULT_NAMES
from saga_app.core.rows import ClosedOrder, Status
from tests.support.examples import (
    cancel,
    cancelled,
    completed,
    delivery,
    deposit,
    order,
    orders_evicted,
    pay,
    placed,
    refund,
    reserve,
    retention_started,
    segments_closed,
    segments_purged,
    step_request,
)
from tests.support.given import BEGINNING, CHECKOUT, INVENTORY, PAYMENT, SECOND, Story, given


def ended() -> Story:
    """Segment 0 holds o1 (offset 1), which ended at offset 2."""
    return given(CHECKOUT, retention_started(), placed(), step_request(completed()))


def evicted() -> Story:
    return ended().when(segments_closed(0, 1, "o1"))


def purged() -> Story:
    return evicted().when(segments_purged(0, 1))


def test_before_retention_started_orders_have_no_segment() -> None:
    assert given(CHECKOUT, placed()).order().segment is None


def test_orders_placed_close_together_are_one_segment_and_their_step_requests_say_so() -> None:
    story = given(CHECKOUT, retention_started(10), placed("o1"), placed("o2"))
    assert (story.order("o1").segment, story.order("o2").segment) == ("0:0", "0:0")
    assert story.decision is not None and story.decision.sends == (step_request(pay(order("o2"))),)


def test_a_replay_names_the_order_in_its_segment_again_where_that_row_was_lost() -> None:
    """Else its segment would close without it, and a restore would take its row for a late write."""
    story = given(CHECKOUT, retention_started(10), placed("o1"))
    whole = dict(story.rows.bytes)
    story.rows.bytes = {place: row for place, row in whole.items() if not place[1].startswith("segment:")}
    story.when(placed("o1"), offset=1).verdict(Verdict.REPEATED)
    assert story.rows.bytes == whole
    story.when(placed("o1"), offset=1).changes_nothing()


def test_a_closed_order_has_a_small_row_and_every_service_is_told() -> None:
    story = evicted().then(*(orders_evicted(0, 1, "o1", step=step) for step in DEFAULT_NAMES))
    row = story.rows.order("o1")
    assert row == ClosedOrder(version_at(3), Status.COMPLETED, "0:0", order().digest)
    assert story.rows.low_watermark(0) == LowWatermark(version_at(3), 1, purged_below=0, segment_width=2)
    assert story.rows.entry("segment:0000000000000000") is None


@pytest.mark.parametrize(
    "record",
    [
        segments_closed(0, 1, "o1", retention_ms=2 * SECOND),
        segments_closed(0, 1, "o2"),
        segments_closed(1, 1, "o1"),
        segments_closed(0, 0, "o1"),
    ],
    ids=["ended too lately", "not named", "not the next", "none"],
)
def test_a_segment_is_not_closed_before_it_may_be(record: Record) -> None:
    ended().when(record).verdict(Verdict.IGNORED).changes_nothing().then()


@pytest.mark.parametrize(
    "record",
    [segments_closed(0, 2, "o1"), segments_closed(10**15, 10**15 + 1), segments_purged(0, 10**15)],
    ids=["the present segment", "far beyond", "not closed"],
)
def test_a_record_that_names_segments_beyond_its_own_offset_is_a_dead_letter(record: Record) -> None:
    """Checkout knows its own offsets: nobody can have closed a segment that is not full."""
    ended().when(record).is_dead(Fault.INVALID).when(segments_closed(0, 1, "o1")).verdict(Verdict.APPLIED)


def test_an_open_order_keeps_its_segment() -> None:
    given(CHECKOUT, retention_started(), placed(), retention_started()).when(
        segments_closed(0, 1, "o1")
    ).verdict(Verdict.IGNORED).changes_nothing().then()


def test_time_comes_from_the_records_alone() -> None:
    ended().when(segments_closed(0, 1, "o1", retention_ms=SECOND)).verdict(Verdict.APPLIED)
    ended().when(segments_closed(0, 1, "o1", retention_ms=SECOND + 1)).verdict(Verdict.IGNORED)


def test_a_repeat_closes_nothing_again_and_a_replay_sends_again() -> None:
    story = evicted()
    sends = story.decision.sends if story.decision else ()
    story.when(segments_closed(0, 1, "o1"), offset=3).verdict(Verdict.REPEATED).changes_nothing().then(*sends)
    story.when(segments_closed(0, 1, "o1")).verdict(Verdict.IGNORED).changes_nothing().then()


@pytest.mark.parametrize("story", [evicted, purged], ids=["evicted", "purged"])
@pytest.mark.parametrize(
    "record", [placed(), step_request(completed()), cancel()], ids=lambda record: record.type
)
def test_a_replay_of_earlier_records_does_nothing(story: object, record: Record) -> None:
    assert callable(story)
    story().when(record, offset=2).verdict(Verdict.IGNORED).changes_nothing().then()


def test_a_repeat_does_not_bring_an_evicted_order_back() -> None:
    evicted().when(placed()).verdict(Verdict.IGNORED).changes_nothing().then()
    evicted().when(placed(amount="41.00")).is_dead(Fault.DIFFERENT_CONTENT)


def test_a_replay_of_an_ending_that_found_no_order_says_the_same_when_its_id_is_used_again() -> None:
    story = purged()
    offset = story.offset
    first = story.when(step_request(completed())).rejection
    story.when(placed(amount="7.00")).when(step_request(completed()), offset=offset)
    assert first is not None and story.rejection is not None
    assert story.rejection.detail == first.detail


def cancelled_first() -> Story:
    """Segment 0 holds a cancellation (offset 1) whose order has not come."""
    return given(CHECKOUT, retention_started(), cancel(), retention_started())


def test_a_cancellation_that_came_first_leaves_with_its_segment_and_nothing_small_stays() -> None:
    story = cancelled_first().when(segments_closed(0, 1, retention_ms=2 * SECOND)).verdict(Verdict.APPLIED)
    assert set(story.rows.bytes) == {("orders", "low_watermark:0"), ("orders", "closed:0000000000000001")}
    story.when(placed())
    assert story.order().status is Status.OPEN


def test_a_cancellation_that_came_first_is_kept_as_long_as_an_order() -> None:
    cancelled_first().when(segments_closed(0, 1, retention_ms=2 * SECOND + 1)).verdict(
        Verdict.IGNORED
    ).changes_nothing().then()


def test_an_evicted_cancellation_does_not_count_even_where_its_row_is_still_there() -> None:
    """A worker may have been stopped before its tombstone."""
    story = cancelled_first()
    row = story.rows.bytes["orders", "cancellation:o1"]
    story.when(segments_closed(0, 1))
    story.rows.bytes["orders", "cancellation:o1"] = row
    story.when(placed())
    assert story.order().status is Status.OPEN


def test_a_replay_of_a_closing_removes_the_cancellations_that_are_still_there() -> None:
    story = cancelled_first()
    before = dict(story.rows.bytes)
    closed = dict(story.when(segments_closed(0, 1)).rows.bytes)
    story.rows.bytes = {**before, **closed}
    story.when(segments_closed(0, 1), offset=3).verdict(Verdict.REPEATED)
    assert story.rows.bytes == closed


def test_a_cancellation_that_met_its_order_leaves_before_it() -> None:
    """The order is in a segment of its own, which closes later: a free id is nobody's."""
    story = given(CHECKOUT, retention_started(), cancel(), placed(), step_request(cancelled(), "0:1"))
    story.when(segments_closed(0, 2, "o1")).verdict(Verdict.APPLIED).when(segments_purged(0, 2))
    assert set(story.rows.bytes) == {("orders", "low_watermark:0")}


def test_a_cancellation_behind_one_that_met_its_order_before_segments_began_has_no_segment_either() -> None:
    """Its row replaces one that no low watermark can drop: an old disk would bring that back."""
    story = given(CHECKOUT, cancel(), placed(), retention_started())
    del story.rows.bytes["orders", "o1"]
    story.when(cancel())
    assert story.rows.entry("cancellation:o1") == EarlyCancellation(version_at(3), BEGINNING + 3 * SECOND)


def test_a_flood_of_cancellations_stays_as_small_as_its_segments() -> None:
    story = given(CHECKOUT, retention_started(10), *(cancel(f"nobody-{each}") for each in range(40)))
    assert sum(key.startswith("cancellation:") for _, key in story.rows.bytes) == 40
    story.when(segments_closed(0, 4))
    assert sum(key.startswith("cancellation:") for _, key in story.rows.bytes) == 1


def test_an_evicted_order_cannot_be_cancelled_and_people_are_told() -> None:
    story = evicted().when(cancel()).verdict(Verdict.IGNORED).changes_nothing()
    assert story.decision is not None and "too late" in (story.decision.note or "")


def test_another_ending_of_an_evicted_order_is_a_contradiction() -> None:
    evicted().when(step_request(cancelled())).is_dead(Fault.CONTRADICTION)


def test_a_purged_id_is_free_and_endings_of_the_old_order_do_not_reach_the_new_one() -> None:
    story = purged()
    assert set(story.rows.bytes) == {("orders", "low_watermark:0")}
    story.when(step_request(completed())).is_dead(Fault.UNKNOWN_ORDER)
    story.when(placed(amount="7.00"))
    assert story.order().status is Status.OPEN
    story.when(step_request(completed())).is_dead(Fault.UNKNOWN_ORDER)


def test_a_closing_that_was_ignored_is_ignored_again_after_a_crash_cut_off_a_later_one() -> None:
    closing = segments_closed(0, 1, "o1", retention_ms=SECOND + 1)
    story = ended().when(closing).verdict(Verdict.IGNORED)
    rows = dict(story.rows.bytes)
    story.when(closing).verdict(Verdict.APPLIED)
    after = dict(story.rows.bytes)
    story.rows.bytes = {**rows, ("orders", "o1"): after["orders", "o1"]}
    story.when(closing, offset=3).verdict(Verdict.IGNORED).changes_nothing().then()
    story.when(closing, offset=4).verdict(Verdict.APPLIED)
    assert story.rows.bytes == after


def test_small_rows_stay_until_they_are_old_enough() -> None:
    evicted().when(segments_purged(0, 1, retention_ms=2 * SECOND)).verdict(Verdict.IGNORED).changes_nothing()


def test_a_purge_that_a_crash_cut_off_is_finished() -> None:
    story = evicted()
    rows = dict(story.rows.bytes)
    story.when(segments_purged(0, 1))
    story.rows.bytes.update({key: row for key, row in rows.items() if key[1] != "low_watermark:0"})
    story.when(segments_purged(0, 1), offset=4).verdict(Verdict.REPEATED)
    assert set(story.rows.bytes) == {("orders", "low_watermark:0")}


OF = order("o1", customer_id="c1")


def test_amounts_of_evicted_orders_are_in_the_totals_and_no_row_remains() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), orders_evicted(0, 1, "o1"))
    assert story.rows.journal("o1") is None
    assert story.rows.entry("evicted:c1:GBP") == Total(version_at(2), Decimal("-40.00"))
    assert str(story.account().balance) == "60.00"


def test_units_of_evicted_orders_are_in_the_totals() -> None:
    first, second = (order(each, lines=[("a", 2)]) for each in ("o1", "o2"))
    there = given(
        INVENTORY, delivery("d1", a=5), step_request(reserve(first)), step_request(reserve(second), "0:1")
    )
    story = there.when(orders_evicted(0, 1, "o1", step=StepName.INVENTORY)).when(
        orders_evicted(1, 2, "o2", step=StepName.INVENTORY)
    )
    assert story.rows.entry("evicted:main:a") == Total(version_at(4), -4)


def test_an_order_that_was_undone_moved_nothing() -> None:
    story = given(
        PAYMENT, deposit(), step_request(pay(OF)), step_request(refund(OF)), orders_evicted(0, 1, "o1")
    )
    assert story.rows.entry("evicted:c1:GBP") is None


@pytest.mark.parametrize("record", [pay(OF), refund(OF, Reason.OUT_OF_STOCK)], ids=lambda each: each.type)
def test_a_step_request_of_an_evicted_segment_does_nothing(record: Record) -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), orders_evicted(0, 1, "o1")).when(
        step_request(record)
    )
    story.verdict(Verdict.IGNORED).changes_nothing().then()
    assert story.decision is not None and story.decision.note


def test_a_step_request_of_a_later_order_with_the_same_id_is_decided() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), orders_evicted(0, 1, "o1")).when(
        step_request(pay(OF), "0:1")
    )
    story.verdict(Verdict.APPLIED)
    assert str(story.account().balance) == "20.00"


def test_totals_that_were_written_before_a_crash_are_not_added_again() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)))
    rows = dict(story.rows.bytes)
    story.when(orders_evicted(0, 1, "o1"))
    after = dict(story.rows.bytes)
    story.rows.bytes = {**rows, ("payments", "evicted:c1:GBP"): after["payments", "evicted:c1:GBP"]}
    story.when(orders_evicted(0, 1, "o1"), offset=2).verdict(Verdict.APPLIED)
    assert story.rows.bytes == after


def test_rows_that_a_crash_spared_are_removed_at_the_replay() -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)))
    rows = dict(story.rows.bytes)
    story.when(orders_evicted(0, 1, "o1"))
    after = dict(story.rows.bytes)
    story.rows.bytes = {**rows, **after}
    story.when(orders_evicted(0, 1, "o1"), offset=2).verdict(Verdict.REPEATED)
    assert story.rows.bytes == after


def test_a_missing_record_is_an_alarm_and_nothing_is_evicted() -> None:
    story = given(PAYMENT, orders_evicted(0, 1), step_request(pay(OF), "0:2"))
    story.when(orders_evicted(2, 3, "o1")).is_dead(Fault.CONTRADICTION)
    story.when(orders_evicted(0, 1)).verdict(Verdict.REPEATED).changes_nothing()


def test_a_replay_spares_the_row_of_a_later_order_with_the_same_id() -> None:
    story = given(
        PAYMENT, deposit(), step_request(pay(OF)), orders_evicted(0, 1, "o1"), step_request(pay(OF), "0:1")
    )
    story.when(orders_evicted(0, 1, "o1"), offset=2).verdict(Verdict.REPEATED).changes_nothing()
    story.when(step_request(pay(OF), "0:1"), offset=3).verdict(Verdict.REPEATED)
    assert str(story.account().balance) == "20.00"


def test_an_eviction_rejected_as_too_early_does_nothing_at_a_replay() -> None:
    story = given(PAYMENT, orders_evicted(0, 1), step_request(pay(OF), "0:2"))
    story.when(orders_evicted(2, 3, "o1")).is_dead(Fault.CONTRADICTION)
    story.when(orders_evicted(1, 2)).verdict(Verdict.APPLIED)
    story.when(orders_evicted(2, 3, "o1"), offset=2).verdict(Verdict.REPEATED).changes_nothing()


def test_a_record_for_another_service_is_a_dead_letter() -> None:
    given(PAYMENT).when(orders_evicted(0, 1, step=StepName.SHIPPING)).is_dead(Fault.UNEXPECTED_RECORD)


def test_a_closing_that_knows_too_few_services_is_a_dead_letter() -> None:
    evicted_order = records.EvictedOrder(order_id="o1", partitions=(0,))
    ended().when(segments_closed(0, 1).model_copy(update={"orders": (evicted_order,)})).is_dead(Fault.INVALID)


@pytest.mark.parametrize("made", [segments_closed, orders_evicted], ids=["closed", "evicted"])
def test_one_record_closes_only_so_many_segments(made: Callable[[int, int], Record]) -> None:
    """Each of them is looked up: a record that names a million would hold up a worker for seconds."""
    made(7, 7 + records.MOST_SEGMENTS)
    with pytest.raises(ValidationError, match="closes at most"):
        made(7, 8 + records.MOST_SEGMENTS)


def test_an_order_is_named_once_among_those_to_evict() -> None:
    """It would be added to the totals twice."""
    with pytest.raises(ValidationError, match="named once"):
        orders_evicted(0, 1, "o1", "o1")


FORGED = [
    orders_evicted(0, records.MOST_SEGMENTS),
    orders_evicted(10**15, 10**15 + records.MOST_SEGMENTS, "o1"),
    orders_evicted(0, records.MOST_SEGMENTS, "nobody"),
]


@pytest.mark.parametrize("record", FORGED, ids=["far", "beyond", "no row"])
@pytest.mark.parametrize("segment", ["0:0", "0:7"])
def test_a_record_whose_numbers_are_too_high_stops_no_order(record: Record, segment: str) -> None:
    """A service cannot know checkout's offsets: its low watermark rises only behind orders that it has evicted."""
    story = given(PAYMENT, deposit(), step_request(pay(order("o0", amount="1.00")), "0:0"), record)
    story.when(step_request(pay(OF), segment)).verdict(Verdict.APPLIED)
    story.when(step_request(refund(OF), segment)).verdict(Verdict.APPLIED)
    assert str(story.account().balance) == "100.00"


@pytest.mark.parametrize("record", FORGED, ids=["far", "beyond", "no row"])
def test_behind_such_a_record_orders_are_evicted_as_before(record: Record) -> None:
    story = given(PAYMENT, deposit(), step_request(pay(OF)), record, orders_evicted(0, 1, "o1"))
    assert story.rows.journal("o1") is None
    assert story.rows.entry("evicted:c1:GBP") == Total(version_at(3), Decimal("-40.00"))
    story.when(step_request(pay(OF))).verdict(Verdict.IGNORED).changes_nothing()


def test_an_eviction_names_orders_of_its_own_segments_only() -> None:
    """Else it would remove an order that is under way, or a later one with the same id."""
    story = given(PAYMENT, deposit(), step_request(pay(OF), "0:7"), orders_evicted(0, 5, "o1"))
    assert story.rows.journal("o1") is not None


def test_a_late_compensation_of_an_order_that_had_no_row_here_does_nothing() -> None:
    """It was refused before it came here, so no low watermark rose for it; its id may be used again."""
    story = given(PAYMENT, orders_evicted(0, 3)).when(step_request(refund(OF), "0:2"))
    story.verdict(Verdict.IGNORED).changes_nothing().then()


def test_a_late_request_of_a_closed_segment_does_not_reach_a_later_order_with_the_same_id() -> None:
    story = given(PAYMENT, deposit(), orders_evicted(0, 3), step_request(pay(OF), "0:4"))
    story.when(step_request(refund(OF), "0:2")).verdict(Verdict.IGNORED).changes_nothing().then()


def test_a_replay_of_an_eviction_spares_an_order_that_came_behind_it() -> None:
    story = given(
        PAYMENT, deposit(), orders_evicted(0, 9), orders_evicted(0, 9, "o1"), step_request(pay(OF), "0:2")
    )
    story.when(orders_evicted(0, 9, "o1"), offset=2).verdict(Verdict.REPEATED).changes_nothing()
