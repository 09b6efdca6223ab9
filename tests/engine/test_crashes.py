"""Workers stopped between any two steps, with any prefix of what they wrote.

The rows are the same as without the crashes, every answer is given, and nothing is sent that would not have been.
"""

from itertools import product

import pytest
from hypothesis import given as for_all

from saga_app import topics
from tests.support.memory import STEPS, Stop
from tests.support.plan import ALPHABET, TRACES, Crash, CrashPlan, check, plans
from tests.support.profiles import examples


@for_all(plans(topics.PAYMENT, topics.INVENTORY))
@examples(500)
def test_payment_and_inventory_end_as_if_nothing_had_happened(plan: CrashPlan) -> None:
    check(plan)


@for_all(plans(topics.CHECKOUT, topics.SHIPPING))
@examples(200)
def test_checkout_and_shipping_end_as_if_nothing_had_happened(plan: CrashPlan) -> None:
    check(plan)


@pytest.mark.parametrize("trace", TRACES)
def test_the_hard_traces_end_as_if_nothing_had_happened(trace: CrashPlan) -> None:
    check(trace)


KEPT = [(stop, kept) for stop in STEPS for kept in ((0, 1, 2) if stop.endswith("send") else (0,))]


@pytest.mark.parametrize(("stop", "kept"), KEPT)
@pytest.mark.parametrize("topic", [topics.PAYMENT, topics.INVENTORY])
def test_every_short_history_ends_as_if_nothing_had_happened(topic: str, stop: str, kept: int) -> None:
    """Exhaustive: three of do, undo and another's do in one batch, every step, every prefix, disk kept or lost."""
    do, undo, supply, other = ALPHABET[topic][:4]
    for records, disk, time in product(product((do, undo, other), repeat=3), (None, 0), (2, 3)):
        crash = Crash((1,), Stop(stop, time), kept, kept, kept, disk_behind=disk, uncommitted=1)
        check(CrashPlan(topic, (supply, *records), (crash,)))
