"""The card of a fault: its name, its weight, its victims, and how it is inflicted."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tests.chaos.steps import Steps

if TYPE_CHECKING:
    from tests.chaos.system import System


class Whom(Enum):
    """The victims of a fault; they decide which faults can go on at the same time."""

    ONE = "one"
    ALL = "all"
    PROXIED = "proxied"
    BROKER = "broker"
    GUEST = "guest"
    PROVIDER = "provider"
    API = "api"
    OUTBOX = "outbox"
    WEBHOOKS = "webhooks"


#: Injects the fault, notes each injection, and heals it. Given the system, the victim and a chance of its own.
Inflict = Callable[["System", str, random.Random], Steps]


@dataclass(frozen=True)
class ChaosFault:
    """A fault, how often it comes in a deck, and a description."""

    name: str
    weight: int
    whom: Whom
    inflict: Inflict
    help: str
