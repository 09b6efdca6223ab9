"""Runs seeds, alone or many, and says what became of them."""

import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

from saga_app import topics
from saga_app.core.rows import State, Status
from saga_app.engine.exits import Fatal
from tests.simulation.choices import Choices, choices
from tests.simulation.fault_mix import FAULTS, PROVIDER_FAULTS, REFUND_FAULTS
from tests.simulation.violation import Violation
from tests.simulation.world import SimulatedWorld


class SeedOutcome(NamedTuple):
    """The events of a run, and the rule that was broken in it, if any."""

    seed: int
    broken: Violation | None
    counts: Counter[str]


def run(
    of: Choices,
    trace: Callable[[str], None] | None = None,
    faults: frozenset[str] | None = None,
    *,
    providers: bool = False,
) -> tuple[SimulatedWorld, Violation | None]:
    """Makes a run of these choices, with these faults if they are named; any exception at all is a violation."""
    world = SimulatedWorld(of, trace, faults, providers=providers)
    try:
        world.run()
    except Violation as violation:
        return world, violation
    except (Exception, Fatal) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        name = f"{type(error).__name__} in {where.name}"
        return world, Violation(name, f"{error} ({where.filename}:{where.lineno})")
    return world, None


def run_seed(seed: int, *, providers: bool = False) -> SeedOutcome:
    """Runs a seed and counts what happened."""
    world, broken = run(choices(seed), providers=providers)
    counts = Counter({f"step {name}": count for name, count in world.bit.items()})
    counts.update({f"drawn {name}": 1 for name in world.fault_mix.faults})
    counts.update({f"bit {name}": 1 for name in world.fault_mix.faults if world.bit[name]})
    counts.update({f"record {verdict}": count for verdict, count in world.verdicts.items()})
    counts.update({f"ending {status}": 1 for status in world.watch.sagas.status.values()})
    counts["orders closed"] = len(world.watch.sagas.closed) + len(world.watch.sagas.reused)
    counts["ids used again"] = len(world.watch.sagas.reused)
    counts["effects"] = sum(map(len, (each.things for each in world.watch.sagas.effects.remotes.values())))
    counts.update(f"refund {status}" for status in world.watch.sagas.refunds.statuses())
    paid = [(order, states.get(topics.PAYMENT)) for order, states in world.watch.sagas.states.items()]
    counts["captured"] = sum(state is State.CAPTURED for _, state in paid)
    later = world.watch.sagas.later
    counts["let go"] = sum(state is State.UNDONE and order in later for order, state in paid)
    counts["steps"] = sum(world.bit.values())
    counts["records"] = sum(map(len, world.kafka.inboxes.values()))
    counts["without faults"] = not world.fault_mix.faults
    return SeedOutcome(seed, broken, counts)


class SeedsReport:
    """The sums over many seeds."""

    def __init__(self) -> None:
        self.seeds = 0
        self.counts: Counter[str] = Counter()
        self.broken: list[SeedOutcome] = []

    def add(self, outcome: SeedOutcome) -> None:
        self.seeds += 1
        self.counts.update(outcome.counts)
        if outcome.broken is not None:
            self.broken.append(outcome)

    def run(self, seeds: Iterable[int], *, providers: bool = False) -> Self:
        for seed in seeds:
            self.add(run_seed(seed, providers=providers))
        return self

    def lines(self) -> list[str]:
        """For people."""
        counts, kills = self.counts, ("kill", "kill, disk lost", "kill, disk behind")
        lines = [f"{'fault':<20}{'seeds':>8}{'bit in':>8}{'times':>9}"]
        for name in (*FAULTS, *REFUND_FAULTS, *(PROVIDER_FAULTS if counts["effects"] else ())):
            steps = counts[f"step {name}"]
            bit = f"{counts[f'bit {name}']:>8}{steps:>9}" if steps else ""
            lines.append(f"{name:<20}{counts[f'drawn {name}']:>8}{bit}")
        endings = ", ".join(f"{counts[f'ending {status}']} {status.lower()}" for status in Status)
        fates = ", ".join(
            f"{count} {name.removeprefix('record ')}"
            for name, count in sorted(counts.items())
            if "record " in name
        )
        return [
            *lines,
            f"{counts['without faults']} seeds without any fault",
            f"{counts['records']} records in inboxes; decided: {fates}",
            f"{sum(counts[f'step {name}'] for name in kills)} workers killed, "
            f"{counts['step killed at a point']} of them between two steps of a round or a restore; "
            f"{counts['step lease lost']} zombies ended themselves",
            f"orders: {endings}; {counts['orders closed']} evicted, {counts['ids used again']} ids used again",
            f"refunds: {counts['refund COMPLETED']} completed, {counts['refund REFUSED']} refused",
            *([_effects(counts)] if counts["effects"] else []),
        ]


def _effects(counts: Counter[str]) -> str:
    return (
        f"{counts['effects']} things at providers; {counts['captured']} payments captured behind the pivot, and "
        f"{counts['let go']} let go before it"
    )


def digest(world: SimulatedWorld) -> str:
    """Everything that was written, as one number: the same for the same seed, wherever it runs (I10)."""
    logs = sorted((place, [record[:3] for record in log]) for place, log in world.kafka.logs.items() if log)
    return f"{random.Random(repr(logs)).getrandbits(64):016x}"
