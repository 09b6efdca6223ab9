"""Everything in a small scope: each short history of one inbox partition, and the whole saga of one order."""

import time
from typing import NamedTuple

from tests.simulation.histories import Count, explore
from tests.simulation.one_effect import EFFECTS, EffectBudget, EffectExploration
from tests.simulation.one_order import ORDERS, Budget, Exploration
from tests.simulation.processes import spread
from tests.simulation.scopes import SCOPES
from tests.simulation.violation import Violation


class Part(NamedTuple):
    """The histories of a scope; or an order, with what may happen to it."""

    name: str
    crashes: int
    budget: Budget | None = None
    effects: EffectBudget | None = None

    @property
    def what(self) -> str:
        if self.budget is None:
            return f"{self.name}, {self.crashes} crashes"
        if self.effects is not None:
            given = ", ".join(f"{number} {name}" for name, number in self.effects._asdict().items() if number)
            return f"one effect, {self.name}, {given}"
        return f"one order{' that is evicted' if self.budget.evictions else ''}, {self.name}"


class Found(NamedTuple):
    """Counts of one search, and the rule that was broken, if any."""

    what: str
    states: int = 0
    transitions: int = 0
    broken: str | None = None

    def __str__(self) -> str:
        seen = f"{self.states} states, {self.transitions} transitions"
        return f"{self.what}: {seen if self.broken is None else f'BROKEN  {self.broken}'}"


def main(crashes: int, jobs: int, *, providers: bool = False) -> int:
    """Prints how many states there are, of effects outside or of everything else; the exit code."""
    states = transitions = broken = 0
    began = time.monotonic()
    with spread(look, parts_of_effects(crashes) if providers else parts(crashes), jobs) as found:
        for each in found:
            states, transitions = states + each.states, transitions + each.transitions
            broken += each.broken is not None
            print(f"{time.monotonic() - began:6.0f} s  {each}", flush=True)
    print(
        f"{states} states, {transitions} transitions in {time.monotonic() - began:.0f} s: {broken} violations"
    )
    return 1 if broken else 0


def parts(crashes: int) -> list[Part]:
    """The largest first, so that no process is left alone with one of them."""
    budget = Budget(cancels=crashes, nudges=crashes, losses=crashes)
    budgets = budget._replace(evictions=2), budget._replace(nudges=crashes + 1)
    return [
        *(Part(name, crashes) for name in reversed(SCOPES)),
        *(Part(name, crashes, each) for each in budgets for name in ORDERS),
    ]


def parts_of_effects(faults: int) -> list[Part]:
    """Every effect, with each kind of fault of its provider, and so many faults of it."""
    calm = Budget(cancels=1, nudges=0, losses=0, repeats=0)
    kinds = (
        EffectBudget(time_outs=faults),
        EffectBudget(time_outs=faults, webhooks=faults),
        EffectBudget(time_outs=0, errors=faults, zombies=faults),
        EffectBudget(time_outs=0, days=1, zombies=faults),
    )
    return [
        *(Part(name, faults, calm, kind) for kind in kinds for name in EFFECTS),
        *(Part(name, faults, calm._replace(losses=1, repeats=1), EffectBudget()) for name in EFFECTS),
    ]


def look(part: Part) -> Found:
    """Everything in this part."""
    try:
        if part.budget is not None and part.effects is not None:
            effect = EffectExploration(part.name, part.budget, part.effects)
            return Found(part.what, effect.run(), effect.transitions)
        if part.budget is not None:
            order = Exploration(part.name, part.budget)
            return Found(part.what, order.run(), order.transitions)
        count = Count()
        explore(part.name, SCOPES[part.name].length, part.crashes, count)
        return Found(part.what, count.states, count.transitions)
    except Violation as violation:
        return Found(part.what, broken=str(violation))
