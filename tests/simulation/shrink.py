"""Shortens the choices of a failing run for as long as they still break the same invariant."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.choices import DRAW, ERRAND, SCENE, STEP, Choices
from tests.simulation.seeds import run

Numbers = tuple[int, ...]
Breaks = Callable[[Choices], bool]
#: Runs at most.
MOST: Final = 3_000


def shrink(choices: Choices, *, providers: bool = False) -> Choices:
    """The fewest choices that were found."""
    _, broken = run(choices, providers=providers)
    assert broken is not None, "this run breaks nothing"
    left = MOST

    def breaks(candidate: Choices) -> bool:
        nonlocal left
        left -= 1
        found = run(candidate, providers=providers)[1] if left >= 0 else None
        return found is not None and found.invariant == broken.invariant

    before = None
    while before != choices and left > 0:
        before = choices
        for name in ("steps", "customers"):
            choices = _cut(choices, name, breaks)
        choices = _lower_all(choices, breaks)
    return choices


def _with(choices: Choices, name: str, numbers: Numbers) -> Choices:
    return choices._replace(**{name: numbers})  # type: ignore[arg-type]


def _cut(choices: Choices, name: str, breaks: Breaks) -> Choices:
    """Leaves out halves, then quarters, down to single numbers."""
    size = len(getattr(choices, name))
    while size > 0:
        at = 0
        while at < len(numbers := getattr(choices, name)):
            candidate = _with(choices, name, numbers[:at] + numbers[at + size :])
            if breaks(candidate):
                choices = candidate
            else:
                at += size
        size //= 2
    return choices


def _lower_all(choices: Choices, breaks: Breaks) -> Choices:
    """Turns draws into 0, the simplest choice, wherever that still breaks."""
    for scene in _lower(choices.scene, SCENE):
        if breaks(choices._replace(scene=scene & choices.scene)):
            choices = choices._replace(scene=scene & choices.scene)
    for name, draws in (("customers", ERRAND), ("steps", STEP)):
        for at in range(len(getattr(choices, name))):
            for number in _lower(getattr(choices, name)[at], draws):
                numbers: Numbers = getattr(choices, name)
                candidate = _with(choices, name, (*numbers[:at], number & numbers[at], *numbers[at + 1 :]))
                if candidate != choices and breaks(candidate):
                    choices = candidate
    return choices


def _lower(number: int, draws: int) -> Iterator[int]:
    """Masks under which a number has fewer draws that are not 0: first none at all, then all but one of them."""
    yield 0
    for each in range(draws):
        if number & (0xFFFF << each * DRAW):
            yield ~(0xFFFF << each * DRAW)
