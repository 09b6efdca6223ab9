"""The line between one worker and the broker is slow, cut, or torn."""

import random
import time
from typing import Final

from tests.chaos.arena import READY, Arena
from tests.chaos.fault import Fault, Whom
from tests.chaos.steps import Steps, passing, until

#: Seconds: shorter than the delivery timeout of the local profile (4).
SHORT: Final = (1.0, 3.0)


def delay(arena: Arena, victim: str, chance: random.Random) -> Steps:
    """Every piece takes longer, for a while."""
    longer = chance.choice((0.02, 0.1, 0.4))
    arena.blow("network.delay", arena.member(victim), f"{longer:g} s more for every piece")
    arena.proxy.delay(longer)
    yield from passing(chance.uniform(5, 10))
    arena.proxy.heal()


def short(arena: Arena, victim: str, chance: random.Random) -> Steps:
    """Nothing passes for a moment, and what was sent arrives afterwards."""
    away = chance.uniform(*SHORT)
    arena.blow("network.short", arena.member(victim), f"for {away:.1f} s")
    arena.proxy.cut()
    yield from passing(away)
    arena.proxy.heal()


def long(arena: Arena, victim: str, chance: random.Random) -> Steps:
    """Nothing passes until others have taken over; then what was sent arrives, as from a zombie."""
    member = arena.member(victim)
    blow = arena.blow("network.long", member)
    generation = arena.crew.generation
    starts, readies = member.starts, member.readies
    arena.proxy.cut()
    yield from arena.taken_over(generation)
    arena.proxy.heal()
    if arena.crew.generation == generation or arena.watch.count == blow.ended:
        blow.why_not = "nobody had taken over when the line came back"
        return
    blow.what = f"for {time.time() - blow.at:.0f} s"
    yield from until(
        lambda: member.starts > starts or member.readies > readies, READY, f"{victim} ends or joins again"
    )


def tear(arena: Arena, victim: str, chance: random.Random) -> Steps:
    """All connections are reset, three times."""
    arena.blow("network.reset", arena.member(victim))
    for _ in range(3):
        arena.proxy.tear()
        yield from passing(chance.uniform(0.1, 2))


ALL: Final = (
    Fault("network.delay", 1, Whom.PROXIED, delay, "a slow line between one worker and the broker"),
    Fault("network.short", 1, Whom.PROXIED, short, "the line cut for 1 to 3 s"),
    Fault("network.long", 1, Whom.PROXIED, long, "the line cut until others have taken over"),
    Fault("network.reset", 1, Whom.PROXIED, tear, "all connections of one worker reset"),
)
