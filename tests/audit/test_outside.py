"""The audit and the history of orders with effects outside: an order in doubt has not ended."""

from collections.abc import Iterator

import pytest

from saga_app.audit.history.describe import in_words
from saga_app.audit.history.reader import read_history
from saga_app.core.records import Outcome, Record, StepAnswered, StepName
from saga_app.settings import Settings
from tests.audit.reading import breach, figures
from tests.audit.world import PARTITIONS, AuditWorld, bought
from tests.support.examples import (
    CAPTURED_LATER,
    cancel,
    cancelled,
    carrier,
    completed,
    delivery,
    order,
    placed,
    refund,
    route_policy,
)

PAID = order(
    "paid", "10.00", customer_id="c1", country="GB", payment_method="stripe:pm_secret", lines=[("mug", 1)]
)


def says(outcome: Outcome, reference: str | None = "pi_1", version: int | None = None) -> StepAnswered:
    """About the payment of order `paid`, of customer c1."""
    return StepAnswered(
        order_id="paid",
        step=StepName.PAYMENT,
        key="c1",
        outcome=outcome,
        reference=reference,
        version=version,
    )


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """An order that waits for its provider."""
    placed_outside = bought("paid").model_copy(update={"payment_method": "stripe:pm_secret"})
    assert placed_outside.order == PAID
    return world.run(delivery("d1", mug=10)).run(placed_outside)


def story(order_id: str = "paid") -> Iterator[str]:
    events, _ = read_history(Settings(partitions_text=str(PARTITIONS)), order_id)
    return (in_words(event) for event in events)


def test_an_order_that_waits_for_a_provider_breaks_no_rule(shop: AuditWorld) -> None:
    assert shop.breaches() == []
    assert figures(shop, "I3")["OPEN"] == 1


@pytest.mark.parametrize("undone", [Outcome.REFUSED, Outcome.DONE])
def test_an_order_that_is_cancelled_while_its_provider_is_asked_breaks_no_rule(
    shop: AuditWorld, undone: Outcome
) -> None:
    shop.run(cancel("paid"))
    assert figures(shop, "I3")["CANCELLING"] == 1
    shop.run(says(undone))
    if undone is Outcome.DONE:
        shop.run(says(Outcome.UNDONE))
    assert shop.breaches() == []
    assert figures(shop, "I3")["cancelled: requested"] == 1
    assert figures(shop, "I4") == {"completed with all effects": 0, "cancelled with none": 1}


def test_an_order_that_a_carrier_ships_breaks_no_rule(world: AuditWorld) -> None:
    world.run(delivery("d1", mug=10)).run(carrier("p1", "courier")).run(placed("o1", country="GB"))
    answer = StepAnswered(
        order_id="o1", step=StepName.SHIPPING, key="o1", outcome=Outcome.DONE, reference="4111111111111111"
    )
    world.run(answer)
    assert world.breaches() == []
    assert figures(world, "I4")["completed with all effects"] == 1


@pytest.mark.parametrize("before", [(), (says(Outcome.DONE), refund(PAID))], ids=["DOING", "UNDOING"])
def test_an_order_that_ended_in_doubt_is_a_breach(shop: AuditWorld, before: tuple[Record, ...]) -> None:
    """Somebody told checkout that it is cancelled before its money was known to be back."""
    shop.run(*before, cancelled("paid"))
    assert "payment is " in breach(shop, "I4").what


def test_every_effect_is_counted_by_what_is_known_of_it(shop: AuditWorld) -> None:
    assert figures(shop, "I13") == {"effects outside": 1, "asked for": 1}
    shop.run(says(Outcome.DONE))
    assert figures(shop, "I13") == {"effects outside": 1, "there": 1}


def test_a_second_payment_is_a_breach_until_a_person_settles_it(shop: AuditWorld) -> None:
    shop.run(says(Outcome.DONE), says(Outcome.DONE, "pi_2"))
    found = breach(shop, "I13")
    assert (found.order, found.field) == ("paid", "payments.conflict")
    assert "its payment is DONE, but its provider said done:pi_2" in found.what
    shop.run(says(Outcome.UNDONE, "pi_2").model_copy(update={"settles": True}))
    assert shop.breaches() == []


def test_the_history_names_the_provider_and_hides_the_token_of_the_method(shop: AuditWorld) -> None:
    shop.run(says(Outcome.PENDING, "pi_1", 0), says(Outcome.DONE))
    told = list(story())
    assert "payment: stripe is asked to do it" in told
    assert "payment: stripe is asked to do it (pi_1)" in told
    assert "paid" in told
    events, _ = read_history(Settings(partitions_text=str(PARTITIONS)), "paid")
    shown = repr([event.as_json() for event in events])
    assert "pm_secret" not in shown and "stripe:***" in shown and "pi_1" in shown


def test_an_answer_that_changes_nothing_says_so(shop: AuditWorld) -> None:
    shop.run(says(Outcome.DONE), says(Outcome.DONE))
    assert "payment: its provider says done, which changed nothing; it is done" in story()


@pytest.fixture
def captured_later(world: AuditWorld) -> AuditWorld:
    """An order that is authorised, and then shipped and captured."""
    placed_outside = bought("paid").model_copy(update={"payment_method": "stripe:pm_secret"})
    world.run(delivery("d1", mug=10)).run(route_policy("p1", *CAPTURED_LATER)).run(placed_outside)
    return world.run(says(Outcome.DONE))


def test_an_order_is_completed_when_it_is_captured(captured_later: AuditWorld) -> None:
    assert captured_later.breaches() == []
    assert figures(captured_later, "I3")["OPEN"] == 1
    assert "payment: stripe is asked to capture it (pi_1)" in story()
    captured_later.run(says(Outcome.CAPTURED))
    assert captured_later.breaches() == []
    assert figures(captured_later, "I4")["completed with all effects"] == 1
    assert figures(captured_later, "I13") == {"effects outside": 1, "captured": 1}
    told = list(story())
    assert told.index("authorised") < told.index("shipment booked") < told.index("captured")


def test_an_order_that_is_completed_and_not_captured_is_a_breach(captured_later: AuditWorld) -> None:
    captured_later.run(completed("paid"))
    assert "it is COMPLETED, but payment is CAPTURING" in breach(captured_later, "I4").what


def test_an_order_that_was_told_cancelled_and_is_captured_is_a_breach(captured_later: AuditWorld) -> None:
    captured_later.run(cancelled("paid")).run(says(Outcome.CAPTURED))
    assert "it is CANCELLED, but payment is CAPTURED" in {each.what for each in captured_later.breaches()}


def test_an_order_that_is_paid_inside_passes_capture(world: AuditWorld) -> None:
    world.run(delivery("d1", mug=10)).run(route_policy("p1", *CAPTURED_LATER)).run(bought("o1"))
    assert world.breaches() == []
    assert figures(world, "I4")["completed with all effects"] == 1
    assert "capture: there is nothing to capture; the order goes on" in story("o1")


def test_an_authorisation_that_ran_out_is_a_breach_until_a_person_settles_it(
    captured_later: AuditWorld,
) -> None:
    captured_later.run(says(Outcome.UNDONE))
    assert "its payment is CAPTURING, but its provider said undone:pi_1" in breach(captured_later, "I13").what
    captured_later.run(says(Outcome.CAPTURED, "pi_2").model_copy(update={"settles": True}))
    assert captured_later.breaches() == []
    assert figures(captured_later, "I4")["completed with all effects"] == 1
