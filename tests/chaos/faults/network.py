"""The line between one worker and the broker is slow, cut, or torn."""

import random
import time
from typing import Final

from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps, passing, until
from tests.chaos.system import READY, System

#: Seconds: shorter than the delivery timeout of the local profile (4).
SHORT: Final = (1.0, 3.0)


def delay(system: System, victim: str, chance: random.Random) -> Steps:
    """Every piece takes longer, for a while."""
    longer = chance.choice((0.02, 0.1, 0.4))
    system.injection("network.delay", system.member(victim), f"{longer:g} s more for every piece")
    system.proxy.delay(longer)
    yield from passing(chance.uniform(5, 10))
    system.proxy.heal()


def short(system: System, victim: str, chance: random.Random) -> Steps:
    """The line is cut for a moment; records sent meanwhile arrive afterwards."""
    away = chance.uniform(*SHORT)
    system.injection("network.short", system.member(victim), f"for {away:.1f} s")
    system.proxy.cut()
    yield from passing(away)
    system.proxy.heal()


def long(system: System, victim: str, chance: random.Random) -> Steps:
    """The line is cut until others have taken over; then the records sent meanwhile arrive, as from a zombie."""
    member = system.member(victim)
    injection = system.injection("network.long", member)
    generation = system.supervisor.generation
    starts, readies = member.starts, member.readies
    system.proxy.cut()
    yield from system.taken_over(generation)
    system.proxy.heal()
    if system.supervisor.generation == generation or system.watch.count == injection.ended:
        injection.why_not = "nobody had taken over when the line came back"
        return
    injection.what = f"for {time.time() - injection.at:.0f} s"
    yield from until(
        lambda: member.starts > starts or member.readies > readies, READY, f"{victim} ends or joins again"
    )


def tear(system: System, victim: str, chance: random.Random) -> Steps:
    """All connections are reset, three times."""
    system.injection("network.reset", system.member(victim))
    for _ in range(3):
        system.proxy.tear()
        yield from passing(chance.uniform(0.1, 2))


ALL: Final = (
    ChaosFault("network.delay", 1, Whom.PROXIED, delay, "a slow line between one worker and the broker"),
    ChaosFault("network.short", 1, Whom.PROXIED, short, "the line cut for 1 to 3 s"),
    ChaosFault("network.long", 1, Whom.PROXIED, long, "the line cut until others have taken over"),
    ChaosFault("network.reset", 1, Whom.PROXIED, tear, "all connections of one worker reset"),
)
