"""Queries about the orders of the last minutes, on a real database of each kind."""

from typing import Any

import pytest

from saga_app import topics
from saga_app.orderdb import durations
from saga_app.orderdb.copy.sink import Sink
from saga_app.orderdb.queries.recent import MINUTE, SPANS, Recent, TimeSpan, recent
from saga_app.orderdb.schema import changed_minutes, order_minutes
from tests.orderdb.batches import OrderCopy, rows
from tests.orderdb.services import Services
from tests.support.examples import cancel, placed

#: The first minute of the last quarter of an hour, and a moment in its last.
BEGINS = 28_333_333 * MINUTE
NOW = BEGINS + (SPANS["15m"].bars - 1) * MINUTE + 12_345


class RecentShop:
    def __init__(self, copy: OrderCopy) -> None:
        self.copy = copy
        self.services = Services()

    def at(self, time: int, *records: Any, silent: str = "") -> None:
        """Places all orders at this time; each record that follows takes a second."""
        self.services.silent = {silent}
        for record in records:
            self.services.set_clock(time)
            self.copy.write(*self.services.send(record))

    def told(self, span: TimeSpan = SPANS["15m"]) -> Recent:
        async def ask() -> Recent:
            async with self.copy.database.transaction() as connection:
                return await recent(connection, NOW, span)

        found: Recent = self.copy.run(ask)
        return found


@pytest.fixture
def shop(copy: OrderCopy) -> RecentShop:
    return RecentShop(copy)


def test_orders_are_counted_by_the_minute_in_which_they_were_placed(shop: RecentShop) -> None:
    shop.at(BEGINS - 1, placed("before"))
    shop.at(BEGINS, placed("a", "3.00"), placed("b", "2000.00"))
    shop.at(BEGINS + MINUTE - 1, placed("c", "3.00"))
    shop.at(BEGINS + MINUTE, placed("d"), silent=topics.PAYMENT)
    shop.at(NOW + 10 * MINUTE, placed("ahead-of-our-clock"))
    found = shop.told()
    assert found.begins == BEGINS
    assert [dict(bar.statuses) for bar in found.bars[:3]] == [
        {"COMPLETED": 2, "CANCELLED": 1},
        {"OPEN": 1},
        {},
    ]
    assert dict(found.bars[-1].statuses) == {"COMPLETED": 1}
    assert [bar.open for bar in found.bars] == [0, 1, *[0] * 13]
    assert dict(found.reasons) == {"over_limit": 1}


@pytest.mark.parametrize("name", SPANS)
def test_each_span_has_what_was_placed_in_it_and_no_more(shop: RecentShop, name: str) -> None:
    span = SPANS[name]
    first = (NOW // span.width - span.bars + 1) * span.width
    shop.at(first - MINUTE, placed("before"))
    shop.at(first, placed("first"))
    shop.at(NOW, placed("last"))
    found = shop.told(span)
    assert [bar.total for bar in found.bars] == [1, *[0] * (span.bars - 2), 1]


def test_an_order_that_ends_later_is_counted_anew_and_once(shop: RecentShop) -> None:
    shop.at(BEGINS, placed("waits"), silent=topics.SHIPPING)
    assert dict(shop.told().bars[0].statuses) == {"OPEN": 1}
    shop.at(BEGINS + 3 * MINUTE, cancel("waits"))
    found = shop.told()
    assert dict(found.total()) == {"CANCELLED": 1} and dict(found.reasons) == {"requested": 1}
    assert found.bars[0].total == 1


def test_an_order_whose_time_is_learnt_later_moves_to_its_minute(shop: RecentShop) -> None:
    """Its row is copied before the record that placed it, so it is first counted by the time of its last change."""
    shop.services.set_clock(BEGINS + MINUTE - 2_000)
    messages = shop.services.send(placed("late"))
    rows = [each for each in messages if each.topic() == topics.changelog("saga", "orders")]
    shop.copy.write(rows[-1])
    assert [bar.total for bar in shop.told().bars[:2]] == [0, 1]
    shop.copy.write(*(each for each in messages if each not in rows))
    assert [bar.total for bar in shop.told().bars[:2]] == [1, 0]


def test_durations_are_told_of_those_that_ended(shop: RecentShop) -> None:
    assert shop.told().within(50) is None
    shop.at(BEGINS, *(placed(f"refused-{number}", "2000.00") for number in range(3)), placed("done"))
    shop.at(BEGINS, placed("waits"), silent=topics.PAYMENT)
    found = shop.told()
    assert sum(bar.took.total() for bar in found.bars) == 4
    for percent, took in ((50, 2_000), (75, 2_000), (95, 4_000)):
        told = found.within(percent)
        assert told is not None and took / 1.15 <= told <= took * 1.15


def test_more_minutes_than_fit_into_a_moment_are_counted_by_and_by(
    shop: RecentShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_app.orderdb.copy.minutes._MOST", 2)
    for number in range(5):
        shop.services.set_clock(BEGINS + number * MINUTE)
        shop.copy.sink.count = no_count  # type: ignore[method-assign]
        shop.copy.write(*shop.services.send(placed(f"o-{number}")))
    assert shop.told().total().total() == 0
    sink = Sink(shop.copy.database)
    assert [shop.copy.run(sink.count) for _ in range(3)] == [True, True, False]
    assert [bar.total for bar in shop.told().bars[:6]] == [1, 1, 1, 1, 1, 0]


def test_the_oldest_minutes_are_counted_though_the_newest_takes_all_the_time(
    shop: RecentShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_app.orderdb.copy.minutes._ENOUGH", 0)
    shop.copy.sink.count = no_count  # type: ignore[method-assign]
    for number in range(3):
        shop.at(BEGINS + number * MINUTE, placed(f"o-{number}"))
    assert shop.copy.run(Sink(shop.copy.database).count)
    assert [bar.total for bar in shop.told().bars[:3]] == [1, 0, 1]


def test_minutes_older_than_two_days_are_removed_and_not_counted_again(shop: RecentShop) -> None:
    shop.at(BEGINS - 3 * 24 * 60 * MINUTE, placed("old"), silent=topics.SHIPPING)
    assert len(rows(shop.copy.settings, order_minutes)) == 1
    shop.at(BEGINS, placed("new"))
    assert {each["minute"] for each in rows(shop.copy.settings, order_minutes)} == {BEGINS // MINUTE}
    shop.at(BEGINS + 1_000, cancel("old"))
    assert {each["minute"] for each in rows(shop.copy.settings, order_minutes)} == {BEGINS // MINUTE}
    assert rows(shop.copy.settings, changed_minutes) == []


async def no_count() -> bool:
    """Nobody counts."""
    return False


@pytest.mark.parametrize("took", [1, 7, 99, 1_234, 60_000, 3_600_000])
def test_a_duration_is_told_within_a_seventh(took: int) -> None:
    (most,) = [each for each in durations.CLASSES if each >= took][:1]
    told = durations.within({most: 1}, 50)
    assert told is not None and abs(told - took) <= max(1.0, took / 7)


def test_of_no_durations_nothing_is_told_and_of_endless_ones_the_truth() -> None:
    assert durations.within({}, 95) is None
    assert durations.within({durations.LONGER: 1}, 95) == float("inf")
