"""The provider of payments goes away under load and comes back; it forgets nothing."""

import random
from functools import partial
from typing import Final

from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps, passing
from tests.chaos.system import System

#: Seconds for which nobody reaches it: shorter than its breaker needs to open, and long behind that.
SHORT: Final = (0.5, 2.0)
LONG: Final = (6.0, 15.0)


def down(
    name: str, seconds: tuple[float, float], system: System, victim: str, chance: random.Random
) -> Steps:
    """Every request to it is lost for a while."""
    assert system.payments is not None
    away = chance.uniform(*seconds)
    system.injection(name, what=f"for {away:.1f} s", whom=Whom.PROVIDER.value)
    system.payments.set_down(True)
    yield from passing(away)
    system.payments.set_down(False)


ALL: Final = (
    ChaosFault(
        "provider.short",
        2,
        Whom.PROVIDER,
        partial(down, "provider.short", SHORT),
        "the provider away for 1 or 2 s",
    ),
    ChaosFault(
        "provider.long",
        2,
        Whom.PROVIDER,
        partial(down, "provider.long", LONG),
        "the provider away for 6 to 15 s",
    ),
)
