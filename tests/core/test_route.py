"""The route: forwards to the end, and backwards through every step before."""

from saga_app.core import route
from saga_app.core.records import OrderCancelled, OrderCompleted, Reason, StepName, Undo
from tests.support.examples import call_off, order, pay

OF = order()


def test_the_route_is_payment_then_inventory_then_shipping_which_is_the_pivot() -> None:
    assert [step.name for step in route.ROUTE] == ["payment", "inventory", "shipping"]
    assert route.PIVOT.name == "shipping"


def test_an_order_starts_at_the_first_step() -> None:
    assert route.start(OF) == pay(OF)


def test_forwards_every_step_asks_the_next_and_the_last_ends_the_order() -> None:
    sent = [route.send_on(step, OF) for step in route.ROUTE]
    assert [type(record) for record in sent] == [route.ROUTE[1].do, route.ROUTE[2].do, OrderCompleted]


def test_backwards_every_step_asks_the_one_before_and_the_first_ends_the_order() -> None:
    sent = [
        route.send_back(step, OF, Reason.OUT_OF_STOCK, StepName.INVENTORY) for step in reversed(route.ROUTE)
    ]
    assert [type(record) for record in sent] == [route.ROUTE[1].undo, route.ROUTE[0].undo, OrderCancelled]
    for record in sent:
        assert isinstance(record, Undo | OrderCancelled)
        assert (record.reason, record.step) == (Reason.OUT_OF_STOCK, StepName.INVENTORY)


def test_cancelling_starts_at_the_end_of_the_route() -> None:
    assert route.abort(OF, Reason.TIMED_OUT) == call_off(OF, Reason.TIMED_OUT)
