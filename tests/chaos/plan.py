"""The plan: which fault, at whom, after which pause; all of it follows from the seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.fault import ChaosFault, Whom

#: Seconds between a good moment for a fault and the fault itself, at most.
LONGEST_PAUSE = 1.5
#: How often a fault hits whatever goes on at that moment, a restore or a rebalance too.
HASTY = 0.15


@dataclass(frozen=True)
class Strike:
    """One entry of the plan; what else it draws comes from a chance of its own."""

    number: int
    fault: ChaosFault
    victim: str
    pause: float
    hasty: bool
    chance: random.Random

    def __str__(self) -> str:
        moment = "at any moment" if self.hasty else "with work in flight"
        return f"{self.number:4}  {self.fault.name:<18} {self.victim:<8} {moment}, after {self.pause:.1f} s"


def draw(seed: str, faults: Sequence[ChaosFault], workers: int) -> Iterator[Strike]:
    """Strikes without end. Faults come from a shuffled deck, so that even a short run has many kinds."""
    chance = random.Random(f"plan {seed}")
    number = 0
    while True:
        deck = [fault for fault in faults for _ in range(fault.weight)]
        chance.shuffle(deck)
        for fault in deck:
            number += 1
            victim = f"w{chance.randint(1, workers)}"
            yield Strike(
                number,
                fault,
                # The last worker is the one behind the proxy.
                {Whom.ONE: victim, Whom.PROXIED: f"w{workers}"}.get(fault.whom, fault.whom.value),
                chance.uniform(0, LONGEST_PAUSE),
                fault.whom is Whom.ONE and chance.random() < HASTY,
                random.Random(f"strike {number} of {seed}"),
            )
