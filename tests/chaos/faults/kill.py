"""kill -9 of workers: at any moment and at each point of a round; the disk is kept, or lost, or another takes over."""

import random
from typing import Final

from saga_app import topics
from saga_app.engine.durability import Point
from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps, passing, until_or
from tests.chaos.system import System

#: Seconds in which a worker should come to its point of the round.
REACHED: Final = 45.0
#: Longer than a session of the local profile, in seconds.
TAKEN_OVER: Final = (9.0, 14.0)


def kept(system: System, victim: str, chance: random.Random) -> Steps:
    """It comes back at once with what it had stored."""
    member = system.member(victim)
    system.kill("kill.kept", member)
    system.supervisor.start(member)
    yield


def lost(system: System, victim: str, chance: random.Random) -> Steps:
    """It comes back with nothing and restores everything."""
    member = system.member(victim)
    system.kill("kill.lost", member)
    if member.worker.data.exists():
        member.worker.lose_disk()
    system.supervisor.start(member)
    yield


def late(system: System, victim: str, chance: random.Random) -> Steps:
    """The others take over; it comes back later."""
    member = system.member(victim)
    away = chance.uniform(*TAKEN_OVER)
    system.kill("kill.late", member, f"away for {away:.0f} s")
    yield from passing(away)
    system.supervisor.start(member)


def everybody(system: System, victim: str, chance: random.Random) -> Steps:
    """All at the same moment."""
    for member in system.workers:
        system.kill("kill.all", member)
    for member in system.workers:
        system.supervisor.start(member)
    yield


def point(system: System, victim: str, chance: random.Random) -> Steps:
    """It is killed, comes back, and dies again at a named point of a round; then it comes back for good."""
    member = system.member(victim)
    where = f"{chance.choice(topics.INBOXES)}/{chance.choice(list(Point))}:{chance.randint(1, 40)}"
    system.kill("kill.point", member, "so that it starts anew")
    member.armed, member.settings = True, {"SAGA_CRASH_AT": where}
    system.supervisor.start(member)
    yield from until_or(lambda: member.down, REACHED)
    injection = system.injection("kill.point", member, where, kill=True)
    if member.down:
        # It had partitions, or it would not have come to that point.
        injection.ended_before = max(injection.ended_before, 1)
    else:
        injection.why_not = f"{where} was not reached within {REACHED:.0f} s"
        system.supervisor.kill(member)
    member.armed, member.settings = False, {}
    system.supervisor.start(member)


ALL: Final = (
    ChaosFault("kill.kept", 6, Whom.ONE, kept, "kill -9, started again at once"),
    ChaosFault("kill.lost", 2, Whom.ONE, lost, "kill -9, started again without its disk"),
    ChaosFault("kill.late", 2, Whom.ONE, late, "kill -9, others take over, started again later"),
    ChaosFault("kill.all", 8, Whom.ALL, everybody, "kill -9 of all workers at once"),
    ChaosFault("kill.point", 5, Whom.ONE, point, "kill -9, and again at a named point of a round"),
)
