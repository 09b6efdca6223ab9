"""Orders that were placed and that no worker has taken: in lists and counts, true at any lag of the copy."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from saga_app import topics
from saga_app.core.labels import OPEN
from saga_app.core.patience import FIRST_DELAY
from saga_app.orderdb import schema
from saga_app.orderdb.copy.taken import Taken, TakenPositions
from saga_app.orderdb.queries import orders
from saga_app.orderdb.queries.order import find
from saga_app.orderdb.queries.orders import OrderFilter
from saga_app.orderdb.queries.recent import recent
from tests.orderdb.batches import OrderCopy
from tests.orderdb.services import Services
from tests.support.examples import placed
from tests.support.given import BEGINNING, SECOND

#: `FakeMessage` is always of this partition.
PARTITION = 3
CHECKOUT = (topics.CHECKOUT, PARTITION)
LOG = (topics.changelog("saga", "orders"), PARTITION)


class Untaken:
    """A copy of three orders that workers have taken, and two that they have not."""

    def __init__(self, copy: OrderCopy) -> None:
        self.copy = copy
        self.services = Services()
        self.copy.write(*self.services.send(placed("o1"), placed("o2"), placed("o3")))
        self.first = self.services._offsets[topics.CHECKOUT]
        self.services.silent = {topics.CHECKOUT}
        self.copy.write(*self.services.send(placed("w1"), placed("w2"), placed("w1")))

    def taken(self, offset: int) -> None:
        """Workers have taken what lies before this offset."""
        self.copy.run(self.copy.sink.take, {PARTITION: offset})

    def ask(self, question: Callable[[Any], Any]) -> Any:
        async def run() -> Any:
            async with self.copy.database.transaction() as connection:
                return await question(connection)

        return self.copy.run(run)

    def ids(self, choice: OrderFilter, limit: int = 9, before: str | None = None) -> list[str]:
        found = self.ask(lambda connection: orders.page(connection, choice, limit, before))
        return [row["order_id"] for row in found]


@pytest.fixture
def untaken(copy: OrderCopy) -> Untaken:
    untaken = Untaken(copy)
    untaken.taken(untaken.first)
    return untaken


def test_they_are_listed_with_the_others_and_counted(untaken: Untaken) -> None:
    everything = untaken.ids(OrderFilter())
    assert everything == ["w2", "w1", "o3", "o2", "o1"]
    assert untaken.ids(OrderFilter(("PLACED",))) == ["w2", "w1"]
    assert untaken.ids(OrderFilter(("COMPLETED",))) == ["o3", "o2", "o1"]
    assert untaken.ids(OrderFilter(q="w1")) == ["w1"]
    counts = untaken.ask(lambda connection: orders.counts(connection, OrderFilter()))
    assert counts == {"COMPLETED": 3, "PLACED": 2}


def test_pages_of_a_list_go_on_behind_them(untaken: Untaken) -> None:
    assert untaken.ids(OrderFilter(), 1) == ["w2"]
    assert untaken.ids(OrderFilter(), 2, "w2") == ["w1", "o3"]
    assert untaken.ids(OrderFilter(), 2, "o3") == ["o2", "o1"]


def test_they_are_open_and_late_after_the_first_deadline(untaken: Untaken) -> None:
    placed_at = untaken.ask(lambda connection: orders.oldest(connection, OrderFilter(("PLACED",))))
    assert untaken.ids(OrderFilter(OPEN)) == ["w2", "w1"]
    assert untaken.ids(orders.late(placed_at + FIRST_DELAY)) == []
    assert untaken.ids(orders.late(placed_at + FIRST_DELAY + 1)) == ["w1"]
    assert placed_at >= BEGINNING + 3 * SECOND


def test_the_charts_count_them_among_those_that_have_not_ended(untaken: Untaken) -> None:
    placed_at = untaken.ask(lambda connection: orders.oldest(connection, OrderFilter(("PLACED",))))
    found = untaken.ask(lambda connection: recent(connection, placed_at + 5 * SECOND))
    assert (found.total()["PLACED"], found.total()["COMPLETED"]) == (2, 3)


def test_the_page_of_one_says_it(untaken: Untaken) -> None:
    found = untaken.ask(lambda connection: find(connection, "w1"))
    assert found.order is None and found.untaken["status"] == "PLACED"
    assert untaken.ask(lambda connection: find(connection, "o1")).untaken is None


def test_what_workers_have_taken_is_no_longer_one_even_without_a_row(untaken: Untaken) -> None:
    """It was evicted, or refused: its row or its dead letter was copied before, see `copy.taken`."""
    untaken.taken(untaken.first + 1)
    assert untaken.ids(OrderFilter(("PLACED",))) == ["w1", "w2"], "w1 was placed twice"
    untaken.taken(untaken.first + 3)
    assert untaken.ids(OrderFilter(("PLACED",))) == []


def test_a_row_that_comes_before_the_commit_ends_it(untaken: Untaken) -> None:
    async def rename(connection: Any) -> None:
        await connection.execute(
            update(schema.orders).where(schema.orders.c.order_id == "o1").values(order_id="w2")
        )

    untaken.ask(rename)
    assert untaken.ids(OrderFilter(("PLACED",))) == ["w1"]


def test_without_an_answer_of_the_workers_none_is_named(copy: OrderCopy) -> None:
    assert Untaken(copy).ids(OrderFilter(("PLACED",))) == []


def test_committed_offsets_are_true_of_the_copy_when_it_has_the_rows_of_that_time() -> None:
    positions = TakenPositions({CHECKOUT: 5, LOG: 2})
    assert positions.must_ask()
    positions.told(Taken({PARTITION: 4}, {LOG: 3}))
    assert not positions.must_ask() and positions.true_now() is None
    positions.reached({LOG: 3})
    assert positions.true_now() == {PARTITION: 4}
    assert positions.true_now() is None, "they are written once"
