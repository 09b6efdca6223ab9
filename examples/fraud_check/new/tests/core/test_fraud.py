"""Fraud: what it refuses, and what its undo answers."""

import pytest

from saga_app.core.fraud import Fraud
from saga_app.core.participant import Participant
from saga_app.core.records import ClearanceRequested, ClearanceWithdrawalRequested, Reason, StepName
from tests.support.examples import cancelled, order, pay
from tests.support.given import given

FRAUD = Participant(Fraud())


@pytest.mark.parametrize(("customer", "amount"), [(None, "500.00"), ("c1", "500.01"), (None, "0.00")])
def test_an_order_that_is_cleared_goes_on_to_payment(customer: str | None, amount: str) -> None:
    of = order(amount=amount, customer_id=customer)
    given(FRAUD).when(ClearanceRequested(order=of)).then(pay(of))


def test_an_order_above_the_limit_without_a_customer_is_cancelled_and_never_paid() -> None:
    of = order(amount="500.01")
    story = given(FRAUD).when(ClearanceRequested(order=of))
    story.then(cancelled(reason=Reason.SUSPECTED_FRAUD, step=StepName.FRAUD))
    assert story.row().state == "REFUSED"


def test_an_order_that_is_refused_later_loses_its_clearance_last() -> None:
    of = order()
    undo = ClearanceWithdrawalRequested(order=of, reason=Reason.OUT_OF_STOCK, step=StepName.INVENTORY)
    story = given(FRAUD, ClearanceRequested(order=of)).when(undo)
    story.then(cancelled(reason=Reason.OUT_OF_STOCK, step=StepName.INVENTORY))
    assert story.row().state == "UNDONE"
