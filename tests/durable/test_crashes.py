"""Workers stopped between any two steps, with any prefix of what they wrote.

The rows are the same as without the crashes, every answer is given, and nothing is sent that would not have been.
"""

import pytest
from hypothesis import given as for_all

from saga_app import topics
from tests.support.plan import TRACES, Plan, check, plans
from tests.support.profiles import examples


@for_all(plans(topics.PAYMENT, topics.INVENTORY))
@examples(800)
def test_payment_and_inventory_end_as_if_nothing_had_happened(plan: Plan) -> None:
    check(plan)


@for_all(plans(topics.CHECKOUT, topics.SHIPPING))
@examples(300)
def test_checkout_and_shipping_end_as_if_nothing_had_happened(plan: Plan) -> None:
    check(plan)


@pytest.mark.parametrize("trace", TRACES)
def test_the_hard_traces_end_as_if_nothing_had_happened(trace: Plan) -> None:
    check(trace)
