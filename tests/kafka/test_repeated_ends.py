"""A worker that ends again and again says so in its client id."""

import pytest

from saga_app.kafka.repeated_ends import FRESH, WINDOW, RepeatedEnds, repeated

NOW = 1_700_000_000_000


def test_three_ends_within_a_quarter_of_an_hour_are_told_with_the_last_of_them():
    assert repeated([(NOW - 3, 70), (NOW - 2, 70)], NOW) is None
    assert repeated([(NOW - WINDOW, 70), (NOW - 2, 70), (NOW - 1, 71)], NOW) is None
    assert repeated([(NOW - 3, 70), (NOW - 2, 70), (NOW - 1, 71)], NOW) == RepeatedEnds(3, 71, NOW - 1)


def test_a_client_id_tells_them_to_whoever_reads_it():
    ends = RepeatedEnds(5, 137, NOW)
    assert RepeatedEnds.parse(ends.client_id("saga")) == ends


@pytest.mark.parametrize("client_id", ["", "saga", "rdkafka", "saga-ended-x-times-last-70-at-1"])
def test_another_client_id_tells_nothing(client_id: str):
    assert RepeatedEnds.parse(client_id) is None


def test_a_worker_that_has_run_for_some_minutes_does_not_count_any_more():
    assert RepeatedEnds(3, 70, NOW - FRESH + 1).is_fresh(NOW)
    assert not RepeatedEnds(3, 70, NOW - FRESH).is_fresh(NOW)
