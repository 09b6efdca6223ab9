"""The replay rule (`docs/explanation/engine.md#replay`): the effect of a record that was decided before."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault, RowsMissing
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.rows import State, Status
from tests.support.examples import (
    account,
    call_off,
    cancel,
    cancelled,
    completed,
    deadline,
    delivery,
    deposit,
    limit,
    order,
    pay,
    placed,
    refund,
    release,
    reserve,
    retention_started,
    ship,
    step_request,
    stock,
)
from tests.support.given import CHECKOUT, INVENTORY, PAYMENT, SHIPPING, Story, given

OF = order(customer_id="c1", lines=[("apple", 2)])


def test_a_repeat_does_not_raise_the_version() -> None:
    story = given(PAYMENT, deposit(), pay(OF), pay(OF), pay(OF))
    assert (story.row().version, story.row().done_at, story.account().version) == (1, 1, 1)


def test_a_record_that_was_decided_gets_the_recorded_outcome() -> None:
    given(PAYMENT, deposit(), pay(OF)).when(pay(OF), offset=1).then(reserve(OF)).changes_nothing().verdict(
        Verdict.REPEATED
    )


def test_the_outcome_is_the_rows_even_where_the_record_first_had_another() -> None:
    """A do that was undone since is answered as undone."""
    given(PAYMENT, deposit(), pay(OF), refund(OF)).when(pay(OF), offset=1).then(cancelled()).changes_nothing()


def test_nothing_is_decided_again_although_the_rule_would_now_decide_otherwise() -> None:
    story = given(PAYMENT, deposit(), pay(OF), limit("p", "1.00"))
    story.when(pay(OF), offset=1).then(reserve(OF)).changes_nothing()


def undisturbed_and_replayed(begin: Story, records: list[Record], lost: Callable[[Story], None]) -> Story:
    """Decides the records, loses something, sends them again from where they were, and compares the rows."""
    start = begin.offset
    for record in records:
        begin.when(record)
    rows = dict(begin.rows.bytes)
    lost(begin)
    for offset, record in enumerate(records, start):
        begin.when(record, offset)
    assert begin.rows.bytes == rows
    return begin


@pytest.mark.parametrize(
    "records",
    [
        [pay(OF)],
        [pay(OF), pay(OF)],
        [pay(OF), refund(OF)],
        [pay(OF), pay(OF), refund(OF)],
        [pay(OF), pay(OF), refund(OF), refund(OF), pay(OF)],
        [refund(OF), pay(OF)],
        [deposit("d2"), pay(OF), deposit("d3"), refund(OF), deposit("d2")],
    ],
    ids=lambda records: " ".join(record.type for record in records),
)
def test_balances_that_were_lost_behind_the_journal_come_back_exactly_once(records: list[Record]) -> None:
    begin = given(PAYMENT, deposit("d0"), deposit("d1"))
    kept = begin.rows.bytes["accounts", "c1:GBP"]

    def lose_balances(story: Story) -> None:
        story.rows.bytes["accounts", "c1:GBP"] = kept

    undisturbed_and_replayed(begin, records, lose_balances)


def test_a_do_repeated_before_its_undo_makes_no_money() -> None:
    """The trace that a model checker found: [do, do again, undo] in one batch, and a crash after the journal."""
    story = given(PAYMENT, deposit(amount="100.00"), pay(OF), pay(OF), refund(OF))
    story.rows.bytes["accounts", "c1:GBP"] = account(0, "100.00", "100.00").encode()
    again: list[Record] = [pay(OF), pay(OF), refund(OF)]
    balances = [story.when(record, offset).account().balance for offset, record in enumerate(again, 1)]
    assert balances == [Decimal("60.00"), Decimal("60.00"), Decimal("100.00")]


def test_stock_that_was_lost_behind_the_journal_comes_back_line_by_line() -> None:
    """Of a round's balances any part may have been written: each is moved only if its version is lower."""
    of = order(lines=[("apple", 2), ("pear", 3)])
    for survivor in ("apple", "pear"):
        story = given(INVENTORY, delivery(apple=5, pear=5), reserve(of))
        for sku in {"apple", "pear"} - {survivor}:
            story.rows.bytes["stock", f"main:{sku}"] = stock(0, 5, 5).encode()
        story.when(reserve(of), offset=1).then(ship(of))
        assert (story.stock("apple").available, story.stock("pear").available) == (3, 2)
        story.lose().when(release(of))
        for sku in {"apple", "pear"} - {survivor}:
            available = 3 if sku == "apple" else 2
            story.rows.bytes["stock", f"main:{sku}"] = stock(1, 5, available).encode()
        story.when(release(of), offset=2)
        assert (story.stock("apple"), story.stock("pear")) == (stock(2, 5, 5), stock(2, 5, 5))


def test_a_balance_that_has_seen_a_later_record_is_not_moved() -> None:
    story = given(PAYMENT, deposit("d1"), pay(OF), deposit("d2"))
    story.when(pay(OF), offset=1).changes_nothing()
    story.when(deposit("d1"), offset=0).changes_nothing().then()


def test_deposits_and_deliveries_that_were_lost_behind_the_journal_come_back_once() -> None:
    story = given(PAYMENT, deposit("d1"), deposit("d2", "1.00"), deposit("d1")).lose("accounts")
    story.when(deposit("d1"), offset=0)
    story.when(deposit("d2", "1.00"), offset=1)
    story.when(deposit("d1"), offset=2)
    assert story.account() == account(1, "101.00", "101.00")
    stocked = given(INVENTORY, delivery(apple=5, pear=1)).lose("stock")
    stocked.when(delivery(apple=5, pear=1), offset=0)
    assert (stocked.stock("apple"), stocked.stock("pear")) == (stock(0, 5, 5), stock(0, 1, 1))


def test_a_balance_ahead_of_the_journal_means_that_rows_are_missing() -> None:
    for lost in (pay(OF), deposit("late")):
        story = given(PAYMENT, deposit("d1"), deposit("d2"))
        with pytest.raises(RowsMissing):
            story.when(lost, offset=1)
    story = given(INVENTORY, delivery("d1", apple=5), delivery("d2", apple=5))
    with pytest.raises(RowsMissing):
        story.when(reserve(OF), offset=1)


def test_an_undo_of_a_balance_ahead_of_the_journal_means_that_rows_are_missing() -> None:
    story = given(PAYMENT, deposit("d1"), pay(OF), deposit("d2"), deposit("d3"))
    with pytest.raises(RowsMissing):
        story.when(refund(OF), offset=2)


def test_a_move_of_a_balance_that_is_not_there_means_that_rows_are_missing() -> None:
    story = given(PAYMENT, deposit("d1"), pay(OF)).lose("accounts")
    with pytest.raises(RowsMissing):
        story.when(refund(OF))


def test_a_dead_letter_is_sent_again_on_a_replay() -> None:
    other = order(amount="41.00", customer_id="c1", lines=[("apple", 2)])
    story = given(PAYMENT, deposit(), pay(OF)).when(pay(other)).is_dead(Fault.DIFFERENT_CONTENT)
    story.when(refund(OF))
    story.when(pay(other), offset=2).is_dead(Fault.DIFFERENT_CONTENT)


@pytest.mark.parametrize("early", [completed(), cancelled()], ids=lambda record: record.type)
def test_a_record_that_came_before_its_order_is_unknown_on_a_replay_too(early: Record) -> None:
    story = Story(CHECKOUT).when(early).is_dead(Fault.UNKNOWN_ORDER)
    story.when(placed())
    story.when(early, offset=0).is_dead(Fault.UNKNOWN_ORDER)


@pytest.mark.parametrize("segments", [[], [retention_started(10)]], ids=["no segments", "segments"])
def test_a_replay_of_a_cancellation_that_came_first_and_of_its_order_changes_nothing(
    segments: list[Record],
) -> None:
    story = given(CHECKOUT, *segments, cancel(), placed())
    first, rows = len(segments), dict(story.rows.bytes)
    story.when(cancel(), offset=first).verdict(Verdict.REPEATED).then().changes_nothing()
    story.when(placed(), offset=first + 1).verdict(Verdict.REPEATED).then(
        step_request(cancelled(), "0:0") if segments else cancelled()
    )
    assert story.rows.bytes == rows


def test_a_cancellation_that_came_first_is_written_again_with_all_its_rows_where_they_were_lost() -> None:
    """The tables may have any prefix of the rows of a round, and the same comes of it."""
    story = given(CHECKOUT, retention_started(10), cancel(), placed())
    whole, keys = dict(story.rows.bytes), ["segment:0000000000000000", "cancellation:o1", "o1"]
    for lost in ([], keys[2:], keys[1:], keys):
        story.rows.bytes = {place: row for place, row in whole.items() if place[1] not in lost}
        story.when(cancel(), offset=1).when(placed(), offset=2)
        assert story.rows.bytes == whole, lost


def test_a_deadline_before_its_order_is_no_dead_letter_on_a_replay_either() -> None:
    story = given(CHECKOUT, deadline()).then()
    story.when(placed())
    story.when(deadline(), offset=0).then(pay(placed().order)).changes_nothing()


@pytest.mark.parametrize(
    ("after", "answer"),
    [
        ([], [pay(placed().order)]),
        ([cancel()], [call_off(placed().order)]),
        ([completed()], []),
        ([cancelled("o1", Reason.OVER_LIMIT, StepName.PAYMENT)], []),
    ],
    ids=["OPEN", "CANCELLING", "COMPLETED", "CANCELLED"],
)
def test_on_a_replay_checkout_sends_the_request_that_the_order_waits_for(
    after: list[Record], answer: list[Record]
) -> None:
    story = given(CHECKOUT, placed(), *after)
    for offset, record in enumerate([placed(), *after]):
        story.when(record, offset).then(*answer).changes_nothing()


def test_a_stale_deadline_of_a_changed_order_is_answered_on_a_replay_with_the_outcome() -> None:
    story = given(CHECKOUT, placed(), deadline(), cancel())
    story.when(deadline(), offset=1).then(call_off(placed().order)).changes_nothing()


def test_a_contradiction_is_one_on_a_replay_too() -> None:
    story = given(CHECKOUT, placed(), completed()).when(cancelled()).is_dead(Fault.CONTRADICTION)
    story.when(completed(), offset=1).then().changes_nothing()
    story.when(cancelled(), offset=2).is_dead(Fault.CONTRADICTION)
    assert story.order().status is Status.COMPLETED


def test_a_booked_shipment_is_answered_as_booked_however_often_it_is_replayed() -> None:
    story = given(SHIPPING, ship(OF), call_off(OF), ship(OF))
    for offset in (0, 1, 2):
        record = call_off(OF) if offset == 1 else ship(OF)
        story.when(record, offset).then(completed()).changes_nothing()
    assert (story.row().state, story.row().version) == (State.DONE, 0)
