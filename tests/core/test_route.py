"""The route: forwards to the end, and backwards through every step before."""

import pytest

from saga_app import wire
from saga_app.core import route
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.order import Order, as_placed, routed
from saga_app.core.records import (
    OrderCancelled,
    OrderCompleted,
    PaymentRequested,
    PolicyChanged,
    Reason,
    StepName,
    Undo,
)
from tests.support.examples import call_off, order, pay, placed
from tests.support.given import CHECKOUT, PAYMENT, given

OF = order()


def test_the_route_is_payment_then_inventory_then_shipping_which_is_the_pivot() -> None:
    assert [step.name for step in route.DEFAULT] == ["payment", "inventory", "shipping"]
    assert route.route_of(OF).pivot.name == "shipping"


def test_an_order_starts_at_the_first_step() -> None:
    assert route.start(OF) == pay(OF)


def test_forwards_every_step_asks_the_next_and_the_last_ends_the_order() -> None:
    sent = [route.send_on(step, OF) for step in route.DEFAULT]
    assert [type(record) for record in sent] == [route.DEFAULT[1].do, route.DEFAULT[2].do, OrderCompleted]


def test_backwards_every_step_asks_the_one_before_and_the_first_ends_the_order() -> None:
    sent = [
        route.send_back(step, OF, Reason.OUT_OF_STOCK, StepName.INVENTORY) for step in reversed(route.DEFAULT)
    ]
    assert [type(record) for record in sent] == [route.DEFAULT[1].undo, route.DEFAULT[0].undo, OrderCancelled]
    for record in sent:
        assert isinstance(record, Undo | OrderCancelled)
        assert (record.reason, record.step) == (Reason.OUT_OF_STOCK, StepName.INVENTORY)


def test_cancelling_starts_at_the_end_of_the_route() -> None:
    assert route.abort(OF, Reason.TIMED_OUT) == call_off(OF, Reason.TIMED_OUT)


def named(*names: StepName) -> Order:
    """The order on a route of these steps."""
    return routed(OF, names)


def test_an_order_takes_the_route_that_it_carries() -> None:
    of = named(StepName.INVENTORY, StepName.PAYMENT, StepName.SHIPPING)
    assert [step.name for step in route.route_of(of).steps] == ["inventory", "payment", "shipping"]
    sent = route.send_on(route.step(StepName.INVENTORY), of)
    assert isinstance(sent, PaymentRequested) and sent.order is of
    back = route.send_back(route.step(StepName.INVENTORY), of, Reason.OUT_OF_STOCK, StepName.INVENTORY)
    assert isinstance(back, OrderCancelled)


def test_the_route_is_the_last_field_of_an_order_and_checkout_alone_writes_it() -> None:
    of = named(StepName.PAYMENT, StepName.SHIPPING)
    assert of.canonical.endswith(b'],"route":["payment","shipping"]}')
    assert as_placed(of.canonical) == OF.canonical == as_placed(OF.canonical)
    request = route.start(of)
    assert wire.decode(wire.encode(request)) == request


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("payment,inventory", "exactly one pivot"),
        ("shipping,payment", "exactly one pivot"),
        ("payment,payment,shipping", "names payment twice"),
        ("checkout,shipping", "checkout is no step"),
        ("", "the route is empty"),
    ],
)
def test_a_route_has_compensatable_steps_then_one_pivot_each_once(names: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        route.check([StepName(name) for name in names.split(",") if name])
    route.check([StepName.INVENTORY, StepName.SHIPPING])


def test_a_policy_gives_new_orders_a_route_and_leaves_known_ones_alone() -> None:
    policy = PolicyChanged(policy_id="p1", route=(StepName.INVENTORY, StepName.PAYMENT, StepName.SHIPPING))
    before, after = placed("o-1"), placed("o-2")
    story = given(CHECKOUT, before, policy, after)
    assert b'"route"' not in story.order("o-1").order
    assert story.order("o-2").order.endswith(b'"route":["inventory","payment","shipping"]}')
    # The same order again is the same order: people do not know of its route.
    story.when(after).verdict(Verdict.REPEATED)
    back = PolicyChanged(policy_id="p2", route=(StepName.PAYMENT, StepName.INVENTORY, StepName.SHIPPING))
    again = given(CHECKOUT, policy, back, before)
    assert b'"route"' not in again.order("o-1").order


@pytest.mark.parametrize("names", [("payment", "inventory"), ("shipping", "payment")])
def test_a_policy_with_a_route_that_no_order_can_take_is_a_dead_letter(names: tuple[str, ...]) -> None:
    record = PolicyChanged(policy_id="p1", route=tuple(map(StepName, names)))
    given(CHECKOUT).when(record).is_dead(Fault.INVALID)


def test_a_request_to_a_step_that_the_order_does_not_pass_is_a_dead_letter() -> None:
    of = named(StepName.INVENTORY, StepName.SHIPPING)
    given(PAYMENT).when(PaymentRequested(order=of)).is_dead(Fault.UNEXPECTED_RECORD)
