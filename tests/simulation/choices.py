"""A seed as a list that can be cut: one number for the scene, one for each thing people do, one for each step."""

import random
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")


#: Bits of a number that one draw uses up.
DRAW: Final = 16


class Draws:
    """Small numbers out of a large one. When it is used up all draws are 0, which is always the simplest choice."""

    def __init__(self, number: int) -> None:
        self._rest = number

    def below(self, bound: int) -> int:
        """A number from 0 up to, not including, the bound."""
        drawn = (self._rest & 0xFFFF) % bound
        self._rest >>= DRAW
        return drawn

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def once_in(self, times: int) -> bool:
        return self.below(times) == times - 1


class Choices(NamedTuple):
    """All choices of one run. Without some of its numbers they still make a run."""

    scene: int
    customers: tuple[int, ...]
    steps: tuple[int, ...]


#: Draws of each kind of number.
SCENE: Final = 40
ERRAND: Final = 8
STEP: Final = 16
#: Small cases find bugs quicker than large ones, and most bugs need few orders.
_PEOPLE: Final = (3, 4, 5, 6, 8, 12)
_STEPS: Final = (40, 60, 80, 120, 160, 240)


def choices(seed: int) -> Choices:
    """The choices of this seed."""
    chance = random.Random(seed)
    customers, steps = chance.choice(_PEOPLE), chance.choice(_STEPS)
    return Choices(
        chance.getrandbits(SCENE * DRAW),
        tuple(chance.getrandbits(ERRAND * DRAW) for _ in range(customers)),
        tuple(chance.getrandbits(STEP * DRAW) for _ in range(steps)),
    )
