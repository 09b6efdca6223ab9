"""Everything in a small scope: each short history of one inbox partition, and the whole saga of one order."""

import time

from tests.simulation.histories import Count, explore
from tests.simulation.one_order import ORDERS, Budget, Exploration
from tests.simulation.scopes import SCOPES
from tests.simulation.violation import Violation

#: Records after the first, in each history of one partition.
LENGTH = 3


def main(crashes: int) -> int:
    """Prints how many states there are; the exit code."""
    states = transitions = 0
    began = time.monotonic()
    try:
        for what, budget in _budgets(crashes).items():
            for name in ORDERS:
                order = Exploration(name, budget)
                found = order.run()
                states, transitions = states + found, transitions + order.transitions
                _say(f"{what}, {name}: {found} states, {order.transitions} transitions", began)
        for name in SCOPES:
            count = Count()
            explore(name, LENGTH, crashes, count)
            states, transitions = states + count.states, transitions + count.transitions
            _say(f"{name}, {crashes} crashes: {count}", began)
    except Violation as violation:
        print(f"BROKEN  {violation}")
        return 1
    print(f"{states} states, {transitions} transitions in {time.monotonic() - began:.0f} s: 0 violations")
    return 0


def _budgets(crashes: int) -> dict[str, Budget]:
    budget = Budget(cancels=crashes, nudges=crashes, losses=crashes)
    return {
        "one order": budget._replace(nudges=crashes + 1),
        "one order that leaves": budget._replace(leavings=2),
    }


def _say(what: str, began: float) -> None:
    print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)
