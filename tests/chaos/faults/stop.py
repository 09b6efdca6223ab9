"""Stops in order under load: signals, a rolling restart, workers that come and go."""

import random
import signal
from functools import partial
from typing import Final

from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps, passing
from tests.chaos.system import System

#: Visits of the guest in one storm, and seconds that it stays.
VISITS: Final = 4
STAYS: Final = (2.0, 8.0)


def stop(how: signal.Signals, name: str, system: System, victim: str, chance: random.Random) -> Steps:
    """It ends within bounded time and is started again."""
    member = system.member(victim)
    yield from system.stop(name, member, how)
    system.supervisor.start(member)


def rolling(system: System, victim: str, chance: random.Random) -> Steps:
    """One after the other, as in a deployment: the next one when this one has partitions again."""
    for member in system.workers:
        yield from system.stop("rolling", member, signal.SIGTERM)
        yield from system.started([member])


def storm(system: System, victim: str, chance: random.Random) -> Steps:
    """A guest comes and goes every few seconds, in order or not, ready or not."""
    guest = system.guest
    for _ in range(VISITS):
        came = system.watch.count
        system.supervisor.start(guest)
        yield from passing(chance.uniform(*STAYS))
        if chance.random() < 0.5:
            yield from system.in_flight()
            system.kill("storm", guest, "killed", since=came)
        else:
            yield from system.stop("storm", guest, signal.SIGTERM, since=came)


ALL: Final = (
    ChaosFault(
        "stop.term", 1, Whom.ONE, partial(stop, signal.SIGTERM, "stop.term"), "SIGTERM, started again"
    ),
    ChaosFault("stop.int", 1, Whom.ONE, partial(stop, signal.SIGINT, "stop.int"), "SIGINT, started again"),
    ChaosFault("rolling", 1, Whom.ALL, rolling, "every worker stopped and started, one after the other"),
    ChaosFault("storm", 1, Whom.GUEST, storm, "one more worker comes and goes every few seconds"),
)
