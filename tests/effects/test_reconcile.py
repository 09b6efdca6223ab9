"""`saga reconcile`: each kind of difference between a provider's ledger and the journal is found, and nothing else."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from saga_app.core.numbers import version_at
from saga_app.core.records import Outcome
from saga_app.core.rows import ASKED_STATES, JournalRow, OutsideEffect, State
from saga_app.effects.ports import Effect
from saga_app.effects.reconcile import Kind, confirmed, differences
from tests.support.examples import CAPTURED_LATER, order

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
NOW = SINCE + timedelta(days=1)


def row(
    state: State = State.DONE, reference: str | None = "pi_1", at: datetime = NOW, segment: str | None = "0:1"
) -> JournalRow:
    outside = OutsideEffect("stripe", int(at.timestamp() * 1000), order().canonical, reference)
    return JournalRow(version_at(5), state, order().digest, segment="0:1", outside=outside)


def effect(outcome: Outcome = Outcome.DONE, **fields: Any) -> Effect:
    made = Effect(
        "pi_1",
        outcome,
        NOW,
        "o1",
        "0:1",
        effect="saga:payment:o1:17",
        amount=Decimal("40.00"),
        currency="GBP",
    )
    return made._replace(**fields)


def kinds(*ledger: Effect, journal: JournalRow | None = None, evicted: bool = False) -> list[Kind]:
    rows = {} if journal is None else {"o1": journal}
    return [each.kind for each in differences(ledger, rows, SINCE, lambda segment: evicted)]


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.DONE, Outcome.DONE),
        (State.REFUSED, Outcome.REFUSED),
        (State.UNDONE, Outcome.UNDONE),
        (State.UNDONE, Outcome.REFUSED),
        *((asked, outcome) for asked in sorted(ASKED_STATES) for outcome in Outcome),
    ],
)
def test_what_both_say_and_what_is_still_asked_for_is_no_difference(state: State, outcome: Outcome):
    assert kinds(effect(outcome), journal=row(state)) == []


@pytest.mark.parametrize("state", [State.REFUSED, State.UNDONE, State.VOID])
def test_an_effect_that_its_order_does_not_want_is_unwanted(state: State):
    assert kinds(effect(), journal=row(state)) == [Kind.UNWANTED]


def test_an_effect_without_an_order_is_unwanted_unless_the_order_is_evicted():
    assert kinds(effect()) == [Kind.UNWANTED]
    assert kinds(effect(), evicted=True) == []


def test_a_second_charge_is_unwanted():
    assert kinds(effect(), effect(reference="pi_2"), journal=row()) == [Kind.UNWANTED]


def test_an_effect_of_an_earlier_order_with_the_same_id_is_not_this_orders():
    assert kinds(effect(), effect(reference="pi_0", segment="0:0"), journal=row()) == [Kind.UNWANTED]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNDONE, Outcome.PENDING])
def test_an_effect_that_the_provider_does_not_have_is_missing(outcome: Outcome):
    assert kinds(effect(outcome), journal=row()) == [Kind.MISSING]


def test_an_effect_that_the_ledger_does_not_name_is_missing():
    assert kinds(journal=row()) == [Kind.MISSING]
    assert kinds(journal=row(at=SINCE - timedelta(days=1))) == []


def test_what_could_still_be_confirmed_is_an_orphan():
    assert kinds(effect(Outcome.PENDING)) == [Kind.ORPHAN]
    assert kinds(effect(), effect(Outcome.PENDING, reference="pi_2"), journal=row()) == [Kind.ORPHAN]
    assert kinds(effect(Outcome.PENDING), journal=row(State.REFUSED)) == [Kind.ORPHAN]


def test_an_intent_whose_name_may_be_on_its_way_into_the_row_is_no_orphan():
    assert kinds(effect(Outcome.PENDING), journal=row(State.DOING, None)) == []


def test_an_intent_of_a_customer_who_has_not_ordered_yet_is_no_orphan_but_its_money_is_unwanted():
    assert kinds(effect(Outcome.PENDING, effect=None, segment=None)) == []
    assert kinds(effect(Outcome.DONE, effect=None, segment=None)) == [Kind.UNWANTED]


@pytest.mark.parametrize("fields", [{"amount": Decimal("39.99")}, {"currency": "EUR"}])
def test_another_amount_or_currency_is_a_difference(fields: dict[str, Any]):
    assert kinds(effect(**fields), journal=row()) == [Kind.AMOUNT]
    assert kinds(effect(amount=None, currency=None), journal=row()) == []


def test_what_is_older_is_matched_and_not_judged():
    old = SINCE - timedelta(days=3)
    assert kinds(effect(at=old), journal=row()) == []
    assert kinds(effect(at=old)) == []


def test_a_difference_counts_if_both_readings_have_it():
    first = list(differences([effect()], {"o1": row(State.REFUSED)}, SINCE, lambda segment: False))
    assert confirmed(first, list(first)) == first
    assert confirmed(first, []) == confirmed([], first) == []


LATER = order(route=CAPTURED_LATER)


def held(state: State) -> JournalRow:
    """The row of a payment that is captured later."""
    outside = OutsideEffect("stripe", int(NOW.timestamp() * 1000), LATER.canonical, "pi_1")
    return JournalRow(version_at(5), state, LATER.digest, segment="0:1", outside=outside)


@pytest.mark.parametrize(
    ("state", "outcome", "found"),
    [
        (State.DONE, Outcome.DONE, []),
        (State.CAPTURED, Outcome.CAPTURED, []),
        (State.CAPTURING, Outcome.DONE, []),
        (State.CAPTURING, Outcome.CAPTURED, []),
        (State.UNDONE, Outcome.UNDONE, []),
        # The money is taken of an order that is not shipped, or was cancelled.
        (State.DONE, Outcome.CAPTURED, [Kind.UNWANTED]),
        (State.UNDONE, Outcome.CAPTURED, [Kind.UNWANTED]),
        # It is still held for an order that was cancelled.
        (State.UNDONE, Outcome.DONE, [Kind.UNWANTED]),
        (State.REFUSED, Outcome.DONE, [Kind.UNWANTED]),
        # The order is completed, and the money is not taken.
        (State.CAPTURED, Outcome.DONE, [Kind.MISSING]),
        (State.CAPTURED, Outcome.UNDONE, [Kind.MISSING]),
        (State.DONE, Outcome.UNDONE, [Kind.MISSING]),
    ],
)
def test_what_is_authorised_is_not_taken_for_what_is_captured(
    state: State, outcome: Outcome, found: list[Kind]
):
    assert kinds(effect(outcome), journal=held(state)) == found


def test_a_capture_in_part_is_a_difference():
    part = effect(Outcome.CAPTURED, amount=Decimal("15.00"))
    assert kinds(part, journal=held(State.CAPTURED)) == [Kind.AMOUNT]


def test_a_capture_that_the_ledger_does_not_name_is_missing():
    assert kinds(journal=held(State.CAPTURED)) == [Kind.MISSING]


def test_an_authorisation_without_an_order_is_unwanted():
    assert kinds(effect(Outcome.DONE)) == [Kind.UNWANTED]
