"""Queries about the orders of the last minutes, on a real database of each kind."""

from typing import Any

import pytest

from saga_app import topics
from saga_app.orderdb.queries import recent as module
from saga_app.orderdb.queries.recent import MINUTE, MINUTES, Recent, recent
from tests.orderdb.batches import OrderCopy
from tests.orderdb.services import Services
from tests.support.examples import placed

#: The first minute of the last quarter of an hour, and a moment in its last.
BEGINS = 28_333_333 * MINUTE
NOW = BEGINS + (MINUTES - 1) * MINUTE + 12_345


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

    def told(self) -> Recent:
        async def ask() -> Recent:
            async with self.copy.database.transaction() as connection:
                return await recent(connection, NOW)

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
    assert found.begins == BEGINS and not found.is_part
    assert [dict(each) for each in found.minutes[:3]] == [{"COMPLETED": 2, "CANCELLED": 1}, {"OPEN": 1}, {}]
    assert dict(found.minutes[-1]) == {"COMPLETED": 1}
    assert found.not_ended() == [0, 1, *[0] * 13]
    assert dict(found.reasons) == {"over_limit": 1}


def test_durations_are_told_of_those_that_ended(shop: RecentShop) -> None:
    assert shop.told().within(50) is None
    shop.at(BEGINS, *(placed(f"refused-{number}", "2000.00") for number in range(3)), placed("done"))
    shop.at(BEGINS, placed("waits"), silent=topics.PAYMENT)
    found = shop.told()
    assert (found.within(50), found.within(75), found.within(95)) == (2_000, 2_000, 5_000)
    assert found.took.total() == 4


def test_no_more_orders_are_looked_at_than_can_be_in_a_moment(
    shop: RecentShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.at(BEGINS, placed("old"))
    shop.at(BEGINS + MINUTE, placed("a"), placed("b"))
    monkeypatch.setattr(module, "MOST", 2)
    found = shop.told()
    assert found.is_part and [dict(each) for each in found.minutes[:2]] == [{}, {"COMPLETED": 2}]
