"""Workers stopped between any two steps, with any prefix of what they wrote: the rows are the same, and every answer
is given; nothing is sent that an undisturbed worker would not have sent."""

from itertools import product

import pytest
from hypothesis import example
from hypothesis import given as for_all

from saga_app import topics
from tests.support.plan import ALPHABET, Crash, Plan, check, plans
from tests.support.profiles import examples

PAYMENT = ALPHABET[topics.PAYMENT]
DO, UNDO, DEPOSIT = PAYMENT[:3]


@for_all(plans(topics.PAYMENT, topics.INVENTORY))
@examples(1000)
@example(Plan(topics.PAYMENT, (DEPOSIT, DO, DO, UNDO), (Crash((1,), 23), Crash())))
def test_payment_and_inventory_end_as_if_nothing_had_happened(plan: Plan) -> None:
    check(plan)


@for_all(plans(topics.CHECKOUT, topics.SHIPPING))
@examples(400)
def test_checkout_and_shipping_end_as_if_nothing_had_happened(plan: Plan) -> None:
    check(plan)
