"""Effects outside: every transition, and the traces that break the design without one of its rules."""

from itertools import product

import pytest

from saga_app import topics, wire
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.order import Order
from saga_app.core.outside import INPUTS, MACHINE, PIVOT_MACHINE, OutsideInput, OutsideOutput
from saga_app.core.patience import tries
from saga_app.core.records import Outcome, Reason, Record, StepAnswered, StepName
from saga_app.core.rows import ASKED_STATES, OutsideEffect, State, Status
from tests.support.examples import (
    answered,
    call_off,
    cancelled,
    carrier,
    completed,
    countries,
    deadline,
    deposit,
    order,
    pay,
    placed,
    refund,
    reserve,
    ship,
)
from tests.support.given import BEGINNING, CHECKOUT, PAYMENT, SECOND, SHIPPING, Story, given

METHOD = order(customer_id="c1", payment_method="stripe:pm_1")
BEGUN = order(customer_id="c1", payment_reference="stripe:pi_1")
PARCEL = order()
NO_FACTS = (Outcome.PENDING, Outcome.UNKNOWN)
BOTH = (MACHINE, PIVOT_MACHINE)


def effect(story: Story) -> OutsideEffect:
    found = story.row().outside
    assert found is not None
    return found


def _done(reference: str = "pi_1") -> StepAnswered:
    return answered(Outcome.DONE, reference)


def test_every_record_has_a_transition_in_every_state() -> None:
    for machine, state in product(BOTH, MACHINE):
        # Behind the pivot there is more: tests/core/test_capture.py.
        answers = {*INPUTS.values()} - {OutsideInput.CAPTURED}
        first = {
            OutsideInput.ACCEPTED,
            OutsideInput.REFUSED,
            OutsideInput.BEGUN_REFUSED,
            OutsideInput.BEGUN_UNDO,
        }
        asked = first if state is None else {OutsideInput.AGAIN}
        assert set(machine[state]) == {*answers, *asked, OutsideInput.UNDO}, state


def test_nothing_is_sent_while_a_provider_is_asked() -> None:
    for machine in BOTH:
        for state in ASKED_STATES - {State.CAPTURING}:
            assert machine[state][OutsideInput.AGAIN].output is OutsideOutput.NOTHING
        for inputs in machine.values():
            for transition in inputs.values():
                assert transition.to not in ASKED_STATES or transition.output is OutsideOutput.NOTHING


def test_a_state_that_is_entered_sends_what_a_repeat_sends() -> None:
    for machine in BOTH:
        for inputs in machine.values():
            for transition in inputs.values():
                if transition.to is not None:
                    assert transition.output is machine[transition.to][OutsideInput.AGAIN].output


def test_a_payment_that_is_done_is_sent_on() -> None:
    story = given(PAYMENT, pay(METHOD)).when(answered(Outcome.PENDING, "pi_1", 0)).then()
    assert (story.row().state, effect(story).reference) == (State.DOING, "pi_1")
    story.when(_done()).then(reserve(METHOD))
    assert (story.row().state, story.row().done_at) == (State.DONE, 2)


def test_a_payment_that_is_declined_is_sent_back() -> None:
    story = given(PAYMENT, pay(METHOD)).when(answered(Outcome.REFUSED))
    story.then(cancelled(reason=Reason.DECLINED, step=StepName.PAYMENT))


def test_a_provider_may_say_why_it_refuses() -> None:
    story = given(PAYMENT, pay(METHOD)).when(answered(Outcome.REFUSED, reason=Reason.INSUFFICIENT_FUNDS))
    story.then(cancelled(reason=Reason.INSUFFICIENT_FUNDS, step=StepName.PAYMENT))


def test_an_order_of_nothing_asks_no_provider() -> None:
    free = order(amount="0.00", payment_method="stripe:pm_1")
    assert given(PAYMENT).when(pay(free)).then(reserve(free)).row().outside is None


def test_an_account_is_not_touched_by_a_payment_outside() -> None:
    story = given(PAYMENT, deposit(), pay(METHOD), _done())
    assert story.row().moves is None
    assert str(story.account().balance) == "100.00"


def test_rule_1_the_row_keeps_the_order_so_that_it_can_be_sent_on() -> None:
    story = given(PAYMENT, pay(METHOD))
    assert effect(story).order == METHOD.canonical
    story.when(_done()).then(reserve(METHOD))


def test_rule_2_an_answer_goes_to_the_partition_of_its_step() -> None:
    answer = answered(Outcome.REFUSED)
    assert (topics.topic_of(answer), topics.key_of(answer)) == (topics.PAYMENT, topics.key_of(pay(METHOD)))


@pytest.mark.parametrize("outcome", NO_FACTS)
def test_rule_3_an_answer_that_says_nothing_counts_for_the_row_that_asked_and_for_no_later_one(
    outcome: Outcome,
) -> None:
    story = given(PAYMENT, pay(METHOD), answered(Outcome.UNKNOWN, version=0))
    assert effect(story).tries == 1
    story.when(refund(METHOD)).then()
    assert (story.row().state, effect(story).tries) == (State.PREVENTING, 0)
    story.when(answered(outcome, version=1)).then().changes_nothing()
    story.when(answered(outcome, version=2))
    assert effect(story).tries == 1


def test_rule_4_an_orphan_that_somebody_cancels_does_not_refuse_the_row() -> None:
    story = given(PAYMENT, pay(METHOD), answered(Outcome.PENDING, "pi_1", 0))
    story.when(answered(Outcome.REFUSED, "pi_2")).then().changes_nothing()
    story.when(answered(Outcome.REFUSED)).then().changes_nothing()
    story.when(_done()).then(reserve(METHOD))


def test_rule_5_an_undo_of_a_request_under_way_prevents_and_cancels_only_when_it_is_sealed() -> None:
    story = given(PAYMENT, pay(METHOD)).when(refund(METHOD)).then()
    assert story.row().state is State.PREVENTING
    story.when(answered(Outcome.UNKNOWN, version=1)).then()
    story.when(answered(Outcome.REFUSED)).then(cancelled())


def test_rule_5_a_late_effect_is_found_and_taken_back_before_the_order_is_cancelled() -> None:
    story = given(PAYMENT, pay(METHOD), refund(METHOD)).when(_done()).then()
    assert (story.row().state, story.row().done_at) == (State.UNDOING, 2)
    story.when(answered(Outcome.PENDING, "pi_1", 2)).then()
    story.when(answered(Outcome.UNDONE, "pi_1")).then(cancelled())
    assert (story.row().state, story.row().undone_at) == (State.UNDONE, 4)


def test_rule_6_a_reference_is_written_down_whichever_call_brings_it() -> None:
    story = given(PAYMENT, pay(METHOD), refund(METHOD))
    story.when(answered(Outcome.PENDING, "pi_1", version=0)).then()
    assert (effect(story).reference, effect(story).tries) == ("pi_1", 0)


def test_rule_8_a_key_contains_when_the_effect_was_first_asked_for() -> None:
    story = given(PAYMENT, deposit(), pay(METHOD), answered(Outcome.UNKNOWN, version=1), refund(METHOD))
    assert effect(story).asked_at == BEGINNING + SECOND


def test_rule_9_a_row_says_for_good_who_has_the_effect() -> None:
    story = _shipped(PARCEL)
    story.when(carrier("p2", "none")).when(ship(PARCEL)).then()
    assert effect(story).provider == "courier"


def test_rule_9_a_policy_that_names_nobody_ships_inside_again() -> None:
    story = given(SHIPPING, carrier("p1", "courier"), carrier("p2", "none"))
    story.when(ship(PARCEL)).then(completed())


def test_rule_10_a_payment_that_was_begun_is_prevented_and_never_void() -> None:
    story = given(PAYMENT).when(refund(BEGUN)).then()
    assert (story.row().state, effect(story).reference) == (State.PREVENTING, "pi_1")
    story.when(pay(BEGUN)).then()
    story.when(answered(Outcome.REFUSED, "pi_1")).then(cancelled())


def test_rule_10_a_payment_that_was_begun_is_prevented_when_the_rule_refuses_it() -> None:
    dear = order(customer_id="c1", payment_reference="stripe:pi_1", amount="4000.00")
    story = given(PAYMENT).when(pay(dear)).then()
    assert story.row().state is State.PREVENTING
    story.when(answered(Outcome.REFUSED, "pi_1"))
    story.then(cancelled(reason=Reason.OVER_LIMIT, step=StepName.PAYMENT))


def test_rule_11_an_order_is_open_as_long_as_a_provider_is_asked() -> None:
    """Nothing is sent in an asked state, so checkout hears of no ending; retention takes ended orders only."""
    story = given(PAYMENT, pay(METHOD))
    for record in (pay(METHOD), refund(METHOD), refund(METHOD), answered(Outcome.UNKNOWN, version=2)):
        story.when(record).then()


def test_rule_13_deadlines_go_on_while_a_provider_is_asked_and_the_last_one_cancels() -> None:
    started = given(CHECKOUT, placed(customer_id="c1", payment_method="stripe:pm_1"))
    for attempt in range(tries(None)):
        started.when(deadline(attempt=attempt, last=attempt == tries(None) - 1))
    assert started.order().status is Status.CANCELLING
    asked = given(PAYMENT, pay(METHOD)).when(refund(METHOD, Reason.TIMED_OUT)).then()
    assert asked.row().state is State.PREVENTING
    asked.when(answered(Outcome.REFUSED)).then(cancelled(reason=Reason.TIMED_OUT))


def test_an_answer_that_comes_before_its_order_is_ignored() -> None:
    given(PAYMENT).when(_done()).then().changes_nothing().verdict(Verdict.IGNORED)


def test_an_answer_about_another_order_of_this_id_is_ignored() -> None:
    story = given(PAYMENT, pay(METHOD))
    story.when(answered(Outcome.REFUSED, segment="0:7")).then().changes_nothing().verdict(Verdict.IGNORED)


def test_an_answer_for_another_step_is_a_dead_letter() -> None:
    given(PAYMENT, pay(METHOD)).when(answered(Outcome.REFUSED, step=StepName.SHIPPING)).is_dead(
        Fault.UNEXPECTED_RECORD
    )


def test_two_payments_are_a_conflict_that_is_written_down_once_and_changes_nothing_else() -> None:
    story = given(PAYMENT, pay(METHOD), _done()).when(_done("pi_2")).then()
    assert (story.row().state, story.row().conflict) == (State.DONE, "done:pi_2")
    story.when(_done("pi_3")).then().changes_nothing()
    story.when(refund(METHOD)).then()
    assert (story.row().state, story.row().conflict) == (State.UNDOING, "done:pi_2")


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNDONE])
def test_a_payment_that_is_done_and_gone_is_a_conflict(outcome: Outcome) -> None:
    story = given(PAYMENT, pay(METHOD), _done()).when(answered(outcome, "pi_1")).then()
    assert (story.row().state, story.row().conflict) == (State.DONE, f"{outcome}:pi_1")


def test_a_refusal_of_what_was_done_ends_no_undo_and_is_a_conflict() -> None:
    """The money may still be taken: an order is cancelled only when its provider says that it is back."""
    story = given(PAYMENT, pay(METHOD), _done(), refund(METHOD))
    story.when(answered(Outcome.REFUSED, "pi_1")).then()
    assert story.decision is not None and story.decision.alarm
    assert (story.row().state, story.row().conflict) == (State.UNDOING, "refused:pi_1")
    story.when(answered(Outcome.REFUSED, "pi_1")).then().changes_nothing()
    story.when(answered(Outcome.UNDONE, "pi_1")).then(cancelled())
    assert (story.row().state, story.row().conflict) == (State.UNDONE, "refused:pi_1")


def test_a_payment_of_an_order_that_was_turned_back_before_is_a_conflict() -> None:
    story = given(PAYMENT, refund(METHOD)).when(_done()).then()
    assert (story.row().state, story.row().conflict) == (State.VOID, "done:pi_1")
    story.when(refund(METHOD)).then(cancelled())


@pytest.mark.parametrize(
    ("outcome", "reference"),
    [(Outcome.DONE, "pi_1"), (Outcome.UNDONE, "pi_2"), (Outcome.REFUSED, "pi_1")],
)
def test_a_person_who_settles_a_conflict_ends_it_and_changes_nothing_else(
    outcome: Outcome, reference: str
) -> None:
    story = given(PAYMENT, pay(METHOD), _done(), _done("pi_2"))
    before = story.row()
    assert before.conflict == "done:pi_2"
    story.when(answered(outcome, reference, settles=True)).then()
    assert story.row() == before._replace(version=story.row().version, conflict=None)
    story.when(_done("pi_3")).then()
    assert story.row().conflict == "done:pi_3", "a later one is noted again"


def test_an_answer_that_settles_is_a_fact_too() -> None:
    story = given(PAYMENT, pay(METHOD), _done(), refund(METHOD), answered(Outcome.REFUSED, "pi_1"))
    story.when(answered(Outcome.UNDONE, "pi_1", settles=True)).then(cancelled())
    assert (story.row().state, story.row().conflict) == (State.UNDONE, None)


def test_nothing_is_settled_where_there_is_no_conflict() -> None:
    story = given(PAYMENT, pay(METHOD), _done())
    story.when(answered(Outcome.DONE, "pi_1", settles=True)).then().changes_nothing()
    story.when(answered(Outcome.DONE, "pi_2", settles=True)).then()
    assert story.row().conflict == "done:pi_2"


def test_a_replay_sends_the_outcome_again_and_decides_nothing() -> None:
    records: tuple[Record, ...] = (pay(METHOD), _done(), refund(METHOD))
    story = given(PAYMENT, *records)
    for offset, record in enumerate(records):
        story.when(record, offset).then().changes_nothing()
    story.when(answered(Outcome.UNDONE, "pi_1"))
    for offset, record in enumerate((*records, answered(Outcome.UNDONE, "pi_1"))):
        story.when(record, offset).then(cancelled()).changes_nothing()


def test_a_replay_of_an_answer_behind_a_lost_row_decides_the_same_again() -> None:
    story = given(PAYMENT, pay(METHOD), _done())
    row = story.row()
    story.lose("payments").when(pay(METHOD), 0).when(_done(), 1).then(reserve(METHOD))
    assert story.row() == row


def test_past_the_pivot_an_effect_that_is_found_done_completes_the_order() -> None:
    story = _shipped(PARCEL).when(call_off(PARCEL)).then()
    assert story.row().state is State.PREVENTING
    story.when(answered(Outcome.DONE, "t1", step=StepName.SHIPPING, key="o1")).then(completed())
    story.when(call_off(PARCEL)).then(completed())


def test_a_policy_keeps_what_it_does_not_speak_of() -> None:
    story = given(SHIPPING, countries("p1"), carrier("p2", "courier"))
    row = story.rows.policy()
    assert row is not None and (row.carrier, row.countries) == ("courier", ())
    story.when(countries("p3", "FR"))
    row = story.rows.policy()
    assert row is not None and (row.carrier, row.countries) == ("courier", ("FR",))


def _shipped(of: Order) -> Story:
    return given(SHIPPING, carrier("p1", "courier"), ship(of))


def test_an_order_without_outside_effects_has_the_rows_and_records_of_before() -> None:
    """Byte for byte, as they were before any effect could be outside."""
    inside = order(customer_id="c1", country="GB", lines=[("a", 2)])
    story = given(PAYMENT, deposit(), pay(inside))
    assert story.decision is not None
    (sent,) = story.decision.sends
    assert wire.encode(sent) == (
        b'{"type":"ReservationRequested","order":{"order_id":"o1","customer_id":"c1","currency":"GBP",'
        b'"amount":"40.00","country":"GB","warehouse":"main","lines":[{"sku":"a","quantity":2}]}}'
    )
    digest = inside.digest
    assert story.row().encode() == (
        b'{"version":1,"state":"DONE","content":"%s","done_at":1,"moves":{"c1:GBP":"-40.00"}}'
        % digest.encode()
    )
    story.when(refund(inside))
    assert story.row().encode() == (
        b'{"version":2,"state":"UNDONE","content":"%s","done_at":1,"undone_at":2,"reason":"requested",'
        b'"step":"checkout","moves":{"c1:GBP":"-40.00"}}' % digest.encode()
    )
    served = given(SHIPPING, countries("p1", "FR"))
    assert served.row("policy:p1").encode() == (
        b'{"version":0,"state":"DONE","content":"%s","done_at":0,"countries":["FR"]}'
        % served.row("policy:p1").content.encode()
    )
