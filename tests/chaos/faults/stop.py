"""Stops in order under load: signals, a rolling restart, workers that come and go."""

import random
import signal
from functools import partial
from typing import Final

from tests.chaos.arena import Arena
from tests.chaos.fault import Fault, Whom
from tests.chaos.steps import Steps, passing

#: Visits of the guest in one storm, and seconds that it stays.
VISITS: Final = 4
STAYS: Final = (2.0, 8.0)


def stop(how: signal.Signals, name: str, arena: Arena, victim: str, chance: random.Random) -> Steps:
    """It ends within bounded time and is started again."""
    member = arena.member(victim)
    yield from arena.stop(name, member, how)
    arena.crew.start(member)


def rolling(arena: Arena, victim: str, chance: random.Random) -> Steps:
    """One after the other, as in a deployment: the next one when this one has partitions again."""
    for member in arena.workers:
        yield from arena.stop("rolling", member, signal.SIGTERM)
        yield from arena.started([member])


def storm(arena: Arena, victim: str, chance: random.Random) -> Steps:
    """A guest comes and goes every few seconds, in order or not, ready or not."""
    guest = arena.guest
    for _ in range(VISITS):
        came = arena.watch.count
        arena.crew.start(guest)
        yield from passing(chance.uniform(*STAYS))
        if chance.random() < 0.5:
            yield from arena.in_flight()
            arena.kill("storm", guest, "killed", since=came)
        else:
            yield from arena.stop("storm", guest, signal.SIGTERM, since=came)


ALL: Final = (
    Fault("stop.term", 1, Whom.ONE, partial(stop, signal.SIGTERM, "stop.term"), "SIGTERM, started again"),
    Fault("stop.int", 1, Whom.ONE, partial(stop, signal.SIGINT, "stop.int"), "SIGINT, started again"),
    Fault("rolling", 1, Whom.ALL, rolling, "every worker stopped and started, one after the other"),
    Fault("storm", 1, Whom.GUEST, storm, "one more worker comes and goes every few seconds"),
)
