"""kill -9 of a process between the shop and the topics, with something on its way through it."""

import random
from functools import partial
from typing import Final

from tests.chaos.fault import ChaosFault, Whom
from tests.chaos.steps import Steps
from tests.chaos.system import System


def killed(name: str, system: System, victim: str, chance: random.Random) -> Steps:
    """It comes back at once."""
    door = system.door(name)
    injection = system.injection(f"{name}.kill", whom=name, kill=True)
    injection.ended_before = door.done_since_start
    if not door.is_busy:
        injection.why_not = "nothing was on its way through it"
    door.kill()
    yield


def _fault(whom: Whom, words: str) -> ChaosFault:
    name = whom.value
    return ChaosFault(
        f"{name}.kill", 4, whom, partial(killed, name), f"kill -9 of {words}, started again at once"
    )


API: Final = (_fault(Whom.API, "`saga api`"),)
OUTBOX: Final = (_fault(Whom.OUTBOX, "`saga outbox`"),)
WEBHOOKS: Final = (_fault(Whom.WEBHOOKS, "`saga webhooks run`"),)
