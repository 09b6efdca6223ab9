"""Inventory: all lines of an order or none, in one warehouse."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.inventory import refuse
from saga_app.core.order import Line, Order
from saga_app.core.records import Reason, StepName, StockReason, StockReceived
from saga_app.core.rows import State, Stock
from tests.support.examples import adjustment, delivery, order, refund, release, reserve, ship, stock
from tests.support.given import INVENTORY, given


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ([], None),
        ([(stock(0, 2, 2), 2)], None),
        ([(stock(0, 2, 1), 2)], Reason.OUT_OF_STOCK),
        ([(stock(0, 2, 0), 1)], Reason.OUT_OF_STOCK),
        ([(None, 1)], Reason.UNKNOWN_SKU),
        ([(stock(0, 2, 1), 2), (None, 1)], Reason.UNKNOWN_SKU),
        ([(stock(0, 2, 2), 2), (stock(0, 1, 0), 1)], Reason.OUT_OF_STOCK),
    ],
)
def test_unknown_articles_and_missing_units_are_refused(
    wanted: list[tuple[Stock | None, int]], reason: Reason | None
) -> None:
    assert refuse(wanted) is reason


def test_all_lines_are_reserved_by_one_record() -> None:
    of = order(lines=[("apple", 2), ("pear", 3)])
    story = given(INVENTORY, delivery(apple=5, pear=3)).when(reserve(of)).then(ship(of))
    assert (story.stock("apple"), story.stock("pear")) == (stock(1, 5, 3), stock(1, 3, 0))
    assert story.row().moves == {"main:apple": -2, "main:pear": -3}


def test_if_one_line_is_missing_none_is_reserved() -> None:
    of = order(lines=[("apple", 2), ("pear", 4)])
    story = given(INVENTORY, delivery(apple=5, pear=3)).when(reserve(of))
    story.then(refund(of, Reason.OUT_OF_STOCK, StepName.INVENTORY))
    assert (story.stock("apple"), story.stock("pear")) == (stock(0, 5, 5), stock(0, 3, 3))


def test_a_release_puts_every_line_back() -> None:
    of = order(lines=[("apple", 2), ("pear", 3)])
    story = given(INVENTORY, delivery(apple=5, pear=3), reserve(of)).when(release(of)).then(refund(of))
    assert (story.stock("apple"), story.stock("pear")) == (stock(2, 5, 5), stock(2, 3, 3))
    assert (story.row().state, story.row().undone_at) == (State.UNDONE, 2)


def test_an_order_without_lines_needs_no_stock() -> None:
    of = order()
    story = given(INVENTORY).when(reserve(of)).then(ship(of))
    story.when(release(of)).then(refund(of))
    assert story.row().moves is None


def test_stock_is_kept_by_warehouse() -> None:
    of = order(lines=[("apple", 1)], warehouse="north")
    given(INVENTORY, delivery(apple=5)).when(reserve(of)).then(
        refund(of, Reason.UNKNOWN_SKU, StepName.INVENTORY)
    )


def test_a_delivery_adds_to_the_stock_and_sends_nothing() -> None:
    story = given(INVENTORY, delivery("d1", apple=5), delivery("d2", apple=1, pear=2)).then()
    assert (story.stock("apple"), story.stock("pear")) == (stock(1, 6, 6), stock(1, 2, 2))


def test_a_delivery_twice_is_once() -> None:
    story = given(INVENTORY, delivery(apple=5)).when(delivery(apple=5))
    story.then().changes_nothing().verdict(Verdict.REPEATED)


def test_lines_of_a_delivery_are_merged() -> None:
    twice = StockReceived(delivery_id="d1", lines=(Line(sku="a", quantity=2), Line(sku="a", quantity=3)))
    story = given(INVENTORY, twice)
    assert story.stock("a").available == 5
    story.when(delivery(a=5)).changes_nothing()


def test_another_delivery_under_the_same_id_is_a_dead_letter() -> None:
    given(INVENTORY, delivery(apple=5)).when(delivery(apple=6)).is_dead(Fault.DIFFERENT_CONTENT)


def test_a_delivery_id_is_the_warehouses_own() -> None:
    story = given(INVENTORY, delivery("d", apple=5), delivery("d", "north", apple=6))
    assert (story.stock("apple").available, story.stock("apple", "north").available) == (5, 6)


def test_ids_of_deliveries_are_not_ids_of_orders() -> None:
    of = order("d1", lines=[("apple", 1)])
    given(INVENTORY, delivery("d1", apple=5)).when(reserve(of)).then(ship(of))


BASKETS = st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), min_size=1, max_size=3)


@for_all(
    arrived=st.lists(BASKETS, max_size=4),
    wanted=st.lists(BASKETS, max_size=6),
    back=st.sets(st.integers(0, 5)),
)
def test_stock_is_conserved_and_nothing_is_sold_twice(
    arrived: list[dict[str, int]], wanted: list[dict[str, int]], back: set[int]
) -> None:
    story = given(INVENTORY, *(delivery(f"d{n}", **each) for n, each in enumerate(arrived)))
    orders: list[Order] = [order(f"o{n}", lines=sorted(each.items())) for n, each in enumerate(wanted)]
    for number, each in enumerate(orders):
        story.when(reserve(each))
        if number in back:
            story.when(release(each))
    for sku in {sku for each in arrived for sku in each}:
        held = sum(
            line.quantity
            for each in orders
            for line in each.lines
            if line.sku == sku and story.row(each.order_id).state is State.DONE
        )
        stock = story.stock(sku)
        assert stock.received == sum(each.get(sku, 0) for each in arrived)
        assert stock.received == stock.available + held
        assert stock.available >= 0


def test_an_adjustment_changes_what_is_received_and_available_and_counts_once() -> None:
    story = given(INVENTORY, delivery(apple=5), adjustment(apple=-2, pear=3), adjustment(apple=-2, pear=3))
    story.verdict(Verdict.REPEATED)
    assert (story.stock("apple"), story.stock("pear")) == (stock(1, 3, 3), stock(1, 3, 3))
    assert story.row("adjustment:main:a1").cause == "stocktake"


def test_an_adjustment_takes_nothing_that_an_order_has_reserved_and_is_made_whole_or_not_at_all() -> None:
    story = given(INVENTORY, delivery(apple=5, pear=1), reserve(order(lines=[("apple", 4)])))
    story.when(adjustment("a1", StockReason.DAMAGE, apple=-2, pear=-1)).verdict(Verdict.APPLIED).then()
    row = story.row("adjustment:main:a1")
    assert (row.state, row.reason, row.step) == (State.REFUSED, Reason.OUT_OF_STOCK, StepName.INVENTORY)
    assert row.moves == {"main:apple": -2, "main:pear": -1} and row.done_at is None
    assert story.decision is not None and "where 1 is" in (story.decision.note or "")
    assert (story.stock("apple"), story.stock("pear")) == (stock(1, 5, 1), stock(0, 1, 1))
    # Refused stays refused, whatever is there later.
    story.when(delivery("d2", apple=9)).when(adjustment("a1", StockReason.DAMAGE, apple=-2, pear=-1))
    story.verdict(Verdict.REPEATED)
    assert story.stock("apple").available == 10


def test_nothing_is_taken_of_an_article_that_nobody_has_delivered() -> None:
    story = given(INVENTORY, adjustment("a1", StockReason.LOSS, apple=-1))
    assert story.row("adjustment:main:a1").reason is Reason.UNKNOWN_SKU


def test_a_replay_makes_the_moves_of_an_adjustment_that_a_balance_lacks_and_a_refusal_makes_none() -> None:
    story = given(INVENTORY, delivery(apple=5), adjustment(apple=-2), adjustment("a2", apple=-9))
    rows = dict(story.rows.bytes)
    story.lose("stock").when(delivery(apple=5), offset=0).when(adjustment(apple=-2), offset=1)
    story.when(adjustment("a2", apple=-9), offset=2).verdict(Verdict.REPEATED)
    assert story.rows.bytes == rows


def test_an_adjustment_with_another_content_or_reason_is_a_dead_letter() -> None:
    story = given(INVENTORY, delivery(apple=5), adjustment("a1", StockReason.DAMAGE, apple=-2))
    story.when(adjustment("a1", StockReason.LOSS, apple=-2)).is_dead(Fault.DIFFERENT_CONTENT)
    story.when(adjustment("a1", StockReason.DAMAGE, apple=-1)).is_dead(Fault.DIFFERENT_CONTENT)
