"""A worker that is paused for longer than its session while another takes over, and then wakes."""

import random
import time
from typing import Final

from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps, passing, until
from tests.chaos.system import READY, System

#: Seconds that it sleeps on when others have taken over.
SLEEPS_ON: Final = (0.0, 4.0)


def zombie(system: System, victim: str, chance: random.Random) -> Steps:
    """After waking it ends by itself or joins again; what it wrote in between the audit would find."""
    member = system.member(victim)
    injection = system.injection("zombie", member)
    generation = system.supervisor.generation
    member.worker.pause()
    yield from system.taken_over(generation)
    yield from passing(chance.uniform(*SLEEPS_ON))
    starts, readies = member.starts, member.readies
    member.worker.wake()
    if system.supervisor.generation == generation or system.watch.count == injection.ended:
        injection.why_not = "nobody had taken over when it woke"
        return
    injection.what = f"asleep for {time.time() - injection.at:.0f} s"
    yield from until(
        lambda: member.starts > starts or member.readies > readies,
        READY,
        f"zombie {member.name} ends by itself or joins again",
    )
    injection.what += ", ended by itself" if member.starts > starts else ", joined again"


ALL: Final = (ChaosFault("zombie", 6, Whom.ONE, zombie, "SIGSTOP for longer than the session, then SIGCONT"),)
