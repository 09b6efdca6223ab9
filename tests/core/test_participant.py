"""The participant machine: every cell on purpose, for every step of the route (`docs/reference/machines.md`)."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from saga_app.core.decider import Decider, Verdict
from saga_app.core.errors import Fault
from saga_app.core.order import Order
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.rows import State
from tests.support.examples import (
    call_off,
    cancelled,
    completed,
    countries,
    delivery,
    deposit,
    limit,
    order,
    pay,
    placed,
    refund,
    release,
    reserve,
    ship,
)
from tests.support.given import INVENTORY, PAYMENT, SHIPPING, Story, given

GOOD = order(customer_id="c1", lines=[("apple", 2)])
#: By step: an order that it refuses, and why.
BAD: dict[str, tuple[Order, Reason]] = {
    "payment": (order(amount="1000.00", customer_id="c1", lines=[("apple", 2)]), Reason.OVER_LIMIT),
    "inventory": (order(customer_id="c1", lines=[("apple", 99)]), Reason.OUT_OF_STOCK),
    "shipping": (order(customer_id="c1", lines=[("apple", 2)], country="FR"), Reason.UNDELIVERABLE),
}
DECIDERS: dict[str, Decider] = {"payment": PAYMENT, "inventory": INVENTORY, "shipping": SHIPPING}
SUPPLIES: dict[str, list[Record]] = {
    "payment": [deposit()],
    "inventory": [delivery(apple=10)],
    "shipping": [],
}
DO: dict[str, Callable[[Order], Record]] = {"payment": pay, "inventory": reserve, "shipping": ship}
UNDO: dict[str, Callable[..., Record]] = {"payment": refund, "inventory": release, "shipping": call_off}
SEND_ON: dict[str, Callable[[Order], Record]] = {
    "payment": reserve,
    "inventory": ship,
    "shipping": lambda of: completed(of.order_id),
}


def send_back(step: str, of: Order, reason: Reason, turned_at: str) -> Record:
    back: dict[str, Callable[..., Record]] = {
        "payment": lambda of, reason, step: cancelled(of.order_id, reason, step),
        "inventory": refund,
        "shipping": release,
    }
    return back[step](of, reason, StepName(turned_at))


NONE, DONE, REFUSED, UNDONE, VOID = "none", "DONE", "REFUSED", "UNDONE", "VOID"
ON, BACK = "send on", "send back"
ACCEPTED, REFUSED_BY_RULE, UNDO_ASKED = "do, accepted", "do, refused", "undo"

#: (state, input) -> (next state, output), written down by hand.
EXPECTED = {
    (NONE, ACCEPTED): (DONE, ON),
    (NONE, REFUSED_BY_RULE): (REFUSED, BACK),
    (NONE, UNDO_ASKED): (VOID, BACK),
    (DONE, ACCEPTED): (DONE, ON),
    (DONE, REFUSED_BY_RULE): (DONE, ON),
    (DONE, UNDO_ASKED): (UNDONE, BACK),
    (REFUSED, ACCEPTED): (REFUSED, BACK),
    (REFUSED, REFUSED_BY_RULE): (REFUSED, BACK),
    (REFUSED, UNDO_ASKED): (REFUSED, BACK),
    (UNDONE, ACCEPTED): (UNDONE, BACK),
    (UNDONE, REFUSED_BY_RULE): (UNDONE, BACK),
    (UNDONE, UNDO_ASKED): (UNDONE, BACK),
    (VOID, ACCEPTED): (VOID, BACK),
    (VOID, REFUSED_BY_RULE): (VOID, BACK),
    (VOID, UNDO_ASKED): (VOID, BACK),
}
#: At the pivot what is done is not undone: the undo comes too late.
EXPECTED_AT_PIVOT = {
    **{cell: outcome for cell, outcome in EXPECTED.items() if cell[0] != UNDONE},
    (DONE, UNDO_ASKED): (DONE, ON),
}
CELLS = [
    pytest.param(step, *cell, *outcome, id=f"{step}-{cell[0]}-{cell[1]}")
    for step in DECIDERS
    for cell, outcome in (EXPECTED_AT_PIVOT if step == "shipping" else EXPECTED).items()
]
#: Steps and the states that they know; the pivot has no UNDONE.
KNOWN = [each for each in product(DECIDERS, (DONE, REFUSED, UNDONE, VOID)) if each != ("shipping", UNDONE)]


def turned_rule(step: str) -> list[Record]:
    """Records after which the rule refuses an order that it accepted before, or accepts one that it refused."""
    turned: dict[str, list[Record]] = {
        "payment": [limit("turned", "1.00")],
        "inventory": [reserve(order(f"other{each}", lines=[("apple", each)])) for each in (8, 1)],
        "shipping": [countries("turned", "FR")],
    }
    return turned[step]


def in_state(step: str, state: str) -> tuple[Story, Order]:
    """A story in which the order stands there, and the order."""
    of = BAD[step][0] if state == REFUSED else GOOD
    path: dict[str, list[Record]] = {
        NONE: [],
        DONE: [DO[step](of)],
        REFUSED: [DO[step](of)],
        UNDONE: [DO[step](of), UNDO[step](of)],
        VOID: [UNDO[step](of)],
    }
    return given(DECIDERS[step], *SUPPLIES[step], *path[state]), of


@pytest.mark.parametrize(("step", "state", "input_", "to", "output"), CELLS)
def test_every_step_request_has_its_output_in_every_state(
    step: str, state: str, input_: str, to: str, output: str
) -> None:
    story, of = in_state(step, state)
    if state == NONE and input_ == REFUSED_BY_RULE:
        of = BAD[step][0]
    elif input_ == REFUSED_BY_RULE:
        for record in turned_rule(step):
            story.when(record)
    if input_ == UNDO_ASKED:
        story.when(UNDO[step](of, Reason.TIMED_OUT, StepName.CHECKOUT))
    else:
        story.when(DO[step](of))
    assert story.row().state == to
    if output == ON:
        story.then(SEND_ON[step](of))
    elif to == REFUSED:
        story.then(send_back(step, of, BAD[step][1], step))
    elif state in (UNDONE, VOID):
        # Why it was turned round is what the row says, not what the repeat says.
        story.then(send_back(step, of, Reason.REQUESTED, "checkout"))
    else:
        story.then(send_back(step, of, Reason.TIMED_OUT, "checkout"))
    if state not in (NONE, to):
        assert state == DONE


@pytest.mark.parametrize(("step", "state", "input_"), [cell.values[:3] for cell in CELLS])
def test_a_record_that_changes_no_state_changes_no_row_and_no_balance(
    step: str, state: str, input_: str
) -> None:
    table = EXPECTED_AT_PIVOT if step == "shipping" else EXPECTED
    story, of = in_state(step, state)
    story.when(UNDO[step](of) if input_ == UNDO_ASKED else DO[step](of))
    if table[state, input_][0] == state:
        story.changes_nothing().verdict(Verdict.REPEATED)
    else:
        story.verdict(Verdict.APPLIED)
        assert story.rows.bytes != story.before


@pytest.mark.parametrize("step", DECIDERS)
def test_the_pivot_is_the_last_step_and_the_only_one_that_does_not_undo(step: str) -> None:
    story, of = in_state(step, DONE)
    story.when(UNDO[step](of))
    assert (story.row().state is State.DONE) == (step == "shipping")


@pytest.mark.parametrize(("step", "state"), KNOWN)
@pytest.mark.parametrize("undo", [False, True], ids=["do", "undo"])
def test_another_content_under_a_known_id_is_a_dead_letter_in_every_state(
    step: str, state: str, undo: bool
) -> None:
    story, of = in_state(step, state)
    other = of.model_copy(update={"customer_id": "somebody-else"})
    other = Order.model_validate(other.model_dump(exclude_none=True))
    story.when((UNDO if undo else DO)[step](other)).is_dead(Fault.DIFFERENT_CONTENT)


@pytest.mark.parametrize(("step", "state"), [*KNOWN, *((step, NONE) for step in DECIDERS)])
def test_one_message_causes_exactly_one_message(step: str, state: str) -> None:
    for request in (DO, UNDO):
        story, of = in_state(step, state)
        story.when(request[step](of))
        assert story.decision is not None
        assert len(story.decision.sends) == 1


@pytest.mark.parametrize("step", DECIDERS)
def test_an_undo_that_overtakes_its_do_turns_it_back_for_ever(step: str) -> None:
    story = given(DECIDERS[step], *SUPPLIES[step], UNDO[step](GOOD, Reason.TIMED_OUT, StepName.CHECKOUT))
    for _ in range(3):
        story.when(DO[step](GOOD)).then(send_back(step, GOOD, Reason.TIMED_OUT, "checkout"))
    row = story.row()
    assert (row.state, row.done_at, row.moves) == (State.VOID, None, None)


def test_a_refused_shipment_releases_the_stock_and_then_refunds_and_then_ends() -> None:
    """Reverse order: each undo is asked for by the step after it, once that is undone itself."""
    of = order(customer_id="c1", lines=[("apple", 2)], country="FR")
    payment, inventory = given(PAYMENT, deposit()), given(INVENTORY, delivery(apple=10))
    payment.when(pay(of)).then(reserve(of))
    inventory.when(reserve(of)).then(ship(of))
    why = (Reason.UNDELIVERABLE, StepName.SHIPPING)
    given(SHIPPING).when(ship(of)).then(release(of, *why))
    inventory.when(release(of, *why)).then(refund(of, *why))
    payment.when(refund(of, *why)).then(cancelled("o1", *why))
    assert (payment.account().balance, inventory.stock("apple").available) == (
        payment.account().deposited,
        10,
    )


def test_a_cancellation_that_reaches_shipping_first_wins() -> None:
    of = order(lines=[("apple", 2)])
    inventory, shipping = given(INVENTORY, delivery(apple=10), reserve(of)), given(SHIPPING)
    shipping.when(call_off(of)).then(release(of))
    shipping.when(ship(of)).then(release(of))
    inventory.when(release(of)).then(refund(of))
    inventory.when(release(of)).then(refund(of))
    assert inventory.stock("apple").available == 10


def test_a_step_request_carries_the_order_exactly_as_it_came() -> None:
    of = order(customer_id="c1", lines=[("a", 1), ("b", 2)], country="GB")
    story = given(PAYMENT).when(pay(of))
    assert story.decision is not None
    sent: Any = story.decision.sends[0]
    assert sent.order.canonical == of.canonical


@pytest.mark.parametrize("step", DECIDERS)
def test_a_step_takes_its_own_requests_and_supplies_and_nothing_else(step: str) -> None:
    everything = [
        *(make(GOOD) for make in (pay, refund, reserve, release, ship, call_off)),
        *(placed(), completed(), cancelled(), deposit(), delivery(apple=1), limit("p", "1.00")),
    ]
    taken = {record.type for record in everything if isinstance(record, DECIDERS[step].accepts)}
    assert (
        taken
        == {
            "payment": {"PaymentRequested", "RefundRequested", "FundsDeposited", "PolicyChanged"},
            "inventory": {"ReservationRequested", "ReleaseRequested", "StockReceived"},
            "shipping": {"ShipmentRequested", "ShipmentCancellationRequested", "PolicyChanged"},
        }[step]
    )
