"""Shipping: its refusals, and its policies. It is the pivot: a booked shipment is not called back."""

import pytest

from saga_app.core.errors import Fault
from saga_app.core.records import Reason, StepName
from saga_app.core.rows import State
from saga_app.core.shipping import refuse
from tests.support.examples import call_off, completed, countries, limit, order, release, ship
from tests.support.given import SHIPPING, given


@pytest.mark.parametrize(("country", "reason"), [("GB", None), (None, None), ("FR", Reason.UNDELIVERABLE)])
def test_a_country_that_is_not_served_is_refused(country: str | None, reason: Reason | None) -> None:
    assert refuse(order(country=country), frozenset({"GB"})) is reason


def test_by_default_only_great_britain_is_served() -> None:
    of = order(country="IE")
    given(SHIPPING).when(ship(of)).then(release(of, Reason.UNDELIVERABLE, StepName.SHIPPING))
    given(SHIPPING).when(ship(order(country="GB"))).then(completed())


def test_a_booked_shipment_is_not_called_back() -> None:
    of = order()
    story = given(SHIPPING, ship(of)).when(call_off(of)).then(completed()).changes_nothing()
    assert story.row().state is State.DONE


def test_a_policy_says_which_countries_are_served_from_now_on() -> None:
    to_france, at_home = order("o1", country="FR"), order("o2", country="GB")
    story = given(SHIPPING, countries("p", "FR", "IE")).when(ship(to_france)).then(completed("o1"))
    story.when(ship(at_home)).then(release(at_home, Reason.UNDELIVERABLE, StepName.SHIPPING))


def test_a_policy_of_no_countries_serves_none() -> None:
    story = given(SHIPPING, countries("p"))
    story.when(ship(order("o1", country="GB")))
    story.when(ship(order("o2")))
    assert (story.row("o1").state, story.row("o2").state) == (State.REFUSED, State.DONE)


def test_the_order_of_the_countries_is_not_content() -> None:
    given(SHIPPING, countries("p", "FR", "GB")).when(countries("p", "GB", "FR", "GB")).changes_nothing()


def test_another_policy_under_the_same_id_is_a_dead_letter() -> None:
    given(SHIPPING, countries("p", "FR")).when(countries("p", "IE")).is_dead(Fault.DIFFERENT_CONTENT)


def test_a_policy_of_payment_is_a_dead_letter_here() -> None:
    given(SHIPPING).when(limit("p", "1.00")).is_dead(Fault.INVALID)
