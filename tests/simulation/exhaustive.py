"""Everything in a small scope: each short history of one inbox partition, and the whole saga of one order."""

import time

from tests.simulation.histories import SCOPES, Count, explore
from tests.simulation.one_order import ORDERS, Budget, Exploration
from tests.simulation.violation import Violation

#: Records after the first, in each history of one partition.
LENGTH = 3


def main(crashes: int) -> int:
    """Prints how many states there are; the exit code."""
    states = transitions = 0
    began = time.monotonic()
    try:
        for name in ORDERS:
            order = Exploration(name, Budget(cancels=crashes, nudges=crashes + 1, losses=crashes))
            found = order.run()
            states, transitions = states + found, transitions + order.transitions
            _say(f"one order, {name}: {found} states, {order.transitions} transitions", began)
        for topic in SCOPES:
            count = Count()
            explore(topic, LENGTH, crashes, count)
            states, transitions = states + count.states, transitions + count.transitions
            _say(f"{topic}, {crashes} crashes: {count}", began)
    except Violation as violation:
        print(f"BROKEN  {violation}")
        return 1
    print(f"{states} states, {transitions} transitions in {time.monotonic() - began:.0f} s: 0 violations")
    return 0


def _say(what: str, began: float) -> None:
    print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)
