"""The names of the services: checkout, the steps that are built in, and those of the modules in `SAGA_STEPS`.

Own steps are part of the program, as its own modules are: they are read once, from the environment, when it is
imported. The last part of a module's name is the name of its step.
"""

import os
import re
from enum import StrEnum
from typing import Final, Never

#: The setting with the modules of own steps, between commas.
VARIABLE: Final = "SAGA_STEPS"
_NAME: Final = re.compile(r"[a-z][a-z_]{0,39}")
_BUILT_IN: Final = ("checkout", "payment", "inventory", "shipping", "capture")


def _modules(setting: str) -> dict[str, str]:
    """By the name of a step, its module."""
    found: dict[str, str] = {}
    for module in filter(None, map(str.strip, setting.split(","))):
        name = module.rpartition(".")[2]
        if not _NAME.fullmatch(name):
            raise SystemExit(
                f"saga: {VARIABLE}: {module}: a step has a name of at most 40 small letters and underscores"
            )
        if name in _BUILT_IN or name in found:
            raise SystemExit(f"saga: {VARIABLE}: {module}: there is a step {name} already; rename the module")
        found[name] = module
    return found


#: By the name of each own step, the module that has it.
OWN_MODULES: Final = _modules(os.environ.get(VARIABLE, ""))


class StepName(StrEnum):
    """The step at which an order turned round, and the service that decides it."""

    CHECKOUT = "checkout"
    PAYMENT = "payment"
    INVENTORY = "inventory"
    SHIPPING = "shipping"
    CAPTURE = "capture"
    locals().update({name.upper(): name for name in OWN_MODULES})

    @classmethod
    def _missing_(cls, value: object) -> Never:
        """The end of a worker says what it lacks, if its rows name a step that it does not know."""
        raise ValueError(f"{value} is no step; is its module in {VARIABLE}?")
