"""Medians, percentiles and ratios are what their names say."""

import pytest

from bench.stats import Spread, percentile, ratio


def test_a_spread_has_the_middle_and_both_ends() -> None:
    assert Spread.of([30.0, 10.0, 20.0]) == Spread(20.0, 10.0, 30.0)
    assert Spread.of([1.0, 2.0]).median == 1.5


@pytest.mark.parametrize(("share", "is_"), [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_smallest_value_that_reaches_its_share(share: float, is_: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == is_


def test_the_99th_percentile_of_few_values_is_the_largest() -> None:
    assert percentile([3, 1, 2], 0.99) == 3


def test_a_ratio_compares_only_what_ran_in_the_same_round() -> None:
    """The medians over all rounds would say 2: the second round ran on a slower machine."""
    assert ratio({1: 100.0, 2: 10.0}, {1: 50.0, 2: 5.0, 3: 1_000.0}) == Spread(2.0, 2.0, 2.0)
    assert ratio({1: 100.0}, {2: 50.0}) is None
    assert ratio({1: 100.0}, {1: 0.0}) is None
