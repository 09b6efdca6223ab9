"""The own steps of `SAGA_STEPS` in every sequence of one order's records, and defects that must be caught there.

A process has its steps from the environment, so the tests start this one: `python -m tests.own_steps`.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

import pytest

from saga_app import topics
from saga_app.core import checkout, route
from saga_app.core.decider import Verdict
from saga_app.core.order import Order, routed
from saga_app.core.own_steps import OWN
from saga_app.core.participant import Participant
from saga_app.core.records import Record, StepName
from saga_app.core.route import Route
from tests.simulation.choices import choices
from tests.simulation.one_order import ORDERS, Budget, Exploration
from tests.simulation.seeds import run
from tests.simulation.violation import Violation
from tests.support import examples

NAMES: Final = tuple(own.step.name for own in OWN)
ROUTES: Final = (
    (*NAMES, StepName.PAYMENT, StepName.INVENTORY, StepName.SHIPPING),
    (StepName.PAYMENT, *NAMES, StepName.INVENTORY, StepName.SHIPPING),
    (StepName.INVENTORY, StepName.PAYMENT, *NAMES, StepName.SHIPPING),
)
BUDGET: Final = Budget(cancels=1, nudges=1, losses=1, repeats=1)


class OwnExploration(Exploration):
    """An order on a route with own steps."""

    def __init__(self, name: str, steps: tuple[StepName, ...]) -> None:
        super().__init__(name, BUDGET)
        self.before = (examples.route_policy("p1", *steps),)
        self.steps = tuple(map(topics.inbox, steps))


def explore(*, whole: bool = False) -> tuple[int, int]:
    """States and transitions of a refused order on one route, or of all orders on all. Raises `Violation`."""
    states = transitions = 0
    for steps in ROUTES if whole else ROUTES[:1]:
        for name in ORDERS if whole else ("out_of_stock",):
            found = OwnExploration(name, steps)
            states += found.run()
            transitions += found.transitions
    return states, transitions


def the_route_in_force_is_taken(patch: pytest.MonkeyPatch) -> None:
    """An order keeps the route that it was placed with: here each step sends it on along the default one."""
    patch.setattr(route, "route_of", lambda order: Route(route.DEFAULT))


def an_undo_skips_the_own_step(patch: pytest.MonkeyPatch) -> None:
    """The way back passes every step of the way there."""

    def skipping(self: Route, here: Any) -> Any:
        before = self._before.get(here.name)
        return self._before.get(before.name) if before is not None and before.name in NAMES else before

    patch.setattr(Route, "before", skipping)


def checkout_forgets_the_route(patch: pytest.MonkeyPatch) -> None:
    """Compensations take the route in the order's row, also if they come from a nudge."""
    parsed = checkout._order

    def forgetful(record: Any, row: Any) -> Order:
        return routed(parsed(record, row), None)

    patch.setattr(checkout, "_order", forgetful)


def an_own_step_repeats_nothing(patch: pytest.MonkeyPatch) -> None:
    """A repeat sends the recorded outcome again."""
    decide = Participant.decide

    def silent(self: Participant, record: Record, at: Any, rows: Any) -> Any:
        decision = decide(self, record, at, rows)
        if self.step.name in NAMES and decision.verdict is Verdict.REPEATED:
            return decision._replace(sends=())
        return decision

    patch.setattr(Participant, "decide", silent)


DEFECTS: Final[tuple[Callable[[pytest.MonkeyPatch], None], ...]] = (
    the_route_in_force_is_taken,
    an_undo_skips_the_own_step,
    checkout_forgets_the_route,
    an_own_step_repeats_nothing,
)


def a_refusal_forgets_what_the_customer_has_begun(patch: pytest.MonkeyPatch) -> None:
    """A payment that was begun is given up, also if an own step refuses before it is asked."""

    def forgetting(here: Any, order: Order, reason: Any, segment: str | None = None) -> Record:
        return route.send_back(here, order, reason, here.name, segment)

    patch.setattr(route, "turn", forgetting)


def hunt() -> str | None:
    """The first violation in seeds with providers."""
    found = (run(choices(seed), providers=True)[1] for seed in range(400))
    return next((str(each) for each in found if each is not None), None)


def main(*, whole: bool) -> None:
    """Prints one line for each defect, or one for the whole."""
    if whole:
        print("{} states, {} transitions: 0 violations".format(*explore(whole=True)))
        return
    print("{} states, {} transitions: 0 violations".format(*explore()))
    for plant in DEFECTS:
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            try:
                explore()
            except (Violation, KeyError) as caught:
                print(f"caught {plant.__name__}: {' '.join(str(caught).split())[:100]}")
            else:
                print(f"NOT CAUGHT {plant.__name__}")
    with pytest.MonkeyPatch.context() as patch:
        a_refusal_forgets_what_the_customer_has_begun(patch)
        print(f"{'caught' if (why := hunt()) else 'NOT CAUGHT'} a refusal that forgets: {why}"[:150])


if __name__ == "__main__":
    main(whole="--whole" in sys.argv)
