"""Makes a failing tape smaller for as long as it still breaks the same invariant."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.seeds import run
from tests.simulation.tape import DRAW, ERRAND, SCENE, STEP, Tape

Numbers = tuple[int, ...]
Breaks = Callable[[Tape], bool]
#: Runs at most.
MOST: Final = 3_000


def shrink(tape: Tape) -> Tape:
    """The smallest tape that was found."""
    _, broken = run(tape)
    assert broken is not None, "this tape breaks nothing"
    left = MOST

    def breaks(candidate: Tape) -> bool:
        nonlocal left
        left -= 1
        found = run(candidate)[1] if left >= 0 else None
        return found is not None and found.invariant == broken.invariant

    before = None
    while before != tape and left > 0:
        before = tape
        for name in ("steps", "people"):
            tape = _cut(tape, name, breaks)
        tape = _lower_all(tape, breaks)
    return tape


def _with(tape: Tape, name: str, numbers: Numbers) -> Tape:
    return tape._replace(**{name: numbers})  # type: ignore[arg-type]


def _cut(tape: Tape, name: str, breaks: Breaks) -> Tape:
    """Leaves out halves, then quarters, down to single numbers."""
    size = len(getattr(tape, name))
    while size > 0:
        at = 0
        while at < len(numbers := getattr(tape, name)):
            candidate = _with(tape, name, numbers[:at] + numbers[at + size :])
            if breaks(candidate):
                tape = candidate
            else:
                at += size
        size //= 2
    return tape


def _lower_all(tape: Tape, breaks: Breaks) -> Tape:
    """Turns draws into 0, the simplest choice, wherever that still breaks."""
    for scene in _lower(tape.scene, SCENE):
        if breaks(tape._replace(scene=scene & tape.scene)):
            tape = tape._replace(scene=scene & tape.scene)
    for name, draws in (("people", ERRAND), ("steps", STEP)):
        for at in range(len(getattr(tape, name))):
            for number in _lower(getattr(tape, name)[at], draws):
                numbers: Numbers = getattr(tape, name)
                candidate = _with(tape, name, (*numbers[:at], number & numbers[at], *numbers[at + 1 :]))
                if candidate != tape and breaks(candidate):
                    tape = candidate
    return tape


def _lower(number: int, draws: int) -> Iterator[int]:
    """Masks under which a number has fewer draws that are not 0: first none at all, then all but one of them."""
    yield 0
    for each in range(draws):
        if number & (0xFFFF << each * DRAW):
            yield ~(0xFFFF << each * DRAW)
