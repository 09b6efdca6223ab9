"""How far `reached` may go."""

from itertools import takewhile

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.core.numbers import Offset
from saga_app.engine.ports import contiguous


@pytest.mark.parametrize(
    ("reached", "offsets", "expected"),
    [
        (0, [], 0),
        (5, [], 5),
        (0, [0], 1),
        (5, [5, 6, 7], 8),
        (5, [6, 7], 5),
        (5, [5, 7], 6),
        (5, [5, 6, 9, 10], 7),
        (5, [3, 4], 5),
        (5, [4, 5, 6], 7),
    ],
)
def test_it_goes_up_to_the_first_gap(reached: int, offsets: list[int], expected: int) -> None:
    assert contiguous(Offset(reached), [*map(Offset, offsets)]) == expected


@for_all(st.integers(0, 9), st.lists(st.integers(0, 20), unique=True).map(sorted))
def test_every_offset_below_it_was_held_or_written(reached: int, offsets: list[int]) -> None:
    held = {*range(reached), *offsets}
    written = [*map(Offset, offsets)]
    assert contiguous(Offset(reached), written) == max(
        reached, len(list(takewhile(held.__contains__, range(99))))
    )
