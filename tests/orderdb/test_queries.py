"""Queries about one order, stock and accounts, on a database of each kind, without Kafka."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.dead_letters import format as letter_format
from saga_app.kafka import messages
from saga_app.orderdb.present.reconciliation import of_account, of_stock
from saga_app.orderdb.present.summary import sentence
from saga_app.orderdb.present.timeline import timeline
from saga_app.orderdb.queries import accounts, dead_letters, order, orders, reading, stock
from saga_app.orderdb.queries.order import OrderDetails
from saga_app.orderdb.queries.orders import OrderFilter, Sort
from tests.orderdb.batches import FakeMessage, OrderCopy
from tests.orderdb.services import Services
from tests.support.examples import cancel, completed, delivery, deposit, placed
from tests.support.given import BEGINNING

MUGS = [{"sku": "MUG", "quantity": 2}]
SHOP = (deposit("d1", "500.00", "ada"), delivery("v1", MUG=10, CUP=5), delivery("v2", "north", MUG=3))
NOW = BEGINNING + 10_000


class QueryTester:
    """A database that has copied the work of services, and the queries of the tests."""

    def __init__(self, copy: OrderCopy) -> None:
        self.copy = copy
        self.services = Services()
        self.after(*SHOP)

    def after(self, *records: Any, silent: str = "") -> None:
        """Sends these records, and copies everything that follows from them."""
        self.services.silent = {silent}
        self.copy.write(*self.services.send(*records))

    def __call__(self, ask: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        return self.copy.run(
            reading.ask, self.copy.settings, lambda connection: ask(connection, *arguments, **options)
        )

    def order(self, order_id: str = "o1") -> OrderDetails:
        found: OrderDetails = self(order.find, order_id)
        return found

    def sentence(self, order_id: str = "o1") -> str:
        status = self.order(order_id).status
        assert status is not None
        return sentence(status).in_words(NOW)


@pytest.fixture
def asked(copy: OrderCopy) -> QueryTester:
    return QueryTester(copy)


def test_an_order_that_nobody_named_is_not_there(asked: QueryTester):
    for name in ("o1", "", "x" * 65, "a\x00b", "' OR 1=1 --", "\ud800"):
        assert asked.order(name) == OrderDetails(name, None, [], [], [], [])
        assert asked.order(name).status is None


def test_a_completed_order_is_told_with_its_lines_its_route_and_all_that_happened(asked: QueryTester):
    asked.after(placed(lines=MUGS, customer_id="ada"))
    found = asked.order()
    assert asked.sentence() == "Completed: paid, reserved, shipment booked."
    assert [(line["sku"], line["quantity"]) for line in found.lines] == [("MUG", 2)]
    assert [line.what for line in timeline(found.events, found.letters, found.steps)] == [
        "placed",
        "payment is asked to take the payment: paid",
        "inventory is asked to reserve the stock: reserved",
        "shipping is asked to book the shipment: shipment booked",
        "checkout is told that it is completed",
    ]


def test_a_refused_shipment_is_told_with_what_was_undone(asked: QueryTester):
    asked.after(placed(lines=MUGS, customer_id="ada", country="FR"))
    assert asked.sentence() == (
        "Cancelled: the country is not served. The stock was released, then the payment was refunded."
    )


def test_an_order_that_a_service_does_not_answer_waits_for_it_since_it_was_asked(asked: QueryTester):
    asked.after(placed(lines=MUGS), silent=topics.INVENTORY)
    # The shop's three records came before it, a second each, and the placing and the payment.
    assert asked.sentence() == (
        "Waiting for inventory to reserve the stock since 22:13:25; if nothing comes: asked again at 22:13:53, "
        "undone at 22:28:53."
    )


def test_an_order_of_which_only_the_placing_is_copied_is_known_by_its_events(asked: QueryTester):
    (event, *_) = asked.services.send(placed())
    asked.copy.write(event)
    found = asked.order()
    assert found.status is None and [each["type"] for each in found.events] == ["OrderPlaced"]


def test_the_dead_letters_that_name_an_order_are_told_with_it(asked: QueryTester):
    asked.after(placed(lines=MUGS), placed(amount="41.00"), completed("o10"))
    (letter,) = asked.order().letters
    assert letter["reason"] == Fault.DIFFERENT_CONTENT and letter["id"] == "checkout_events:3:2"
    assert letter["replays"] == []
    (other,) = asked.order("o10").letters
    assert other["reason"] == Fault.UNKNOWN_ORDER


def test_a_cancellation_that_waits_for_its_order_is_told_until_the_order_comes(asked: QueryTester):
    asked.after(cancel("o10"))
    found = asked.order("o10")
    assert found.status is None and found.cancelled_first is not None and found.letters == []
    asked.after(placed("o10", lines=MUGS))
    found = asked.order("o10")
    assert found.cancelled_first is None
    assert found.order is not None
    assert (found.order["status"], found.order["reason"], found.steps) == (
        "CANCELLED",
        "requested",
        [],
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b'{"order_id":"\\u006f1"}', True),
        (b'\xff\x00 "o1" \xff', True),
        (b'{"order_id":"o11"}', False),
        (None, False),
    ],
)
def test_a_letter_is_found_by_what_its_payload_says_however_it_is_written(
    asked: QueryTester, value: bytes | None, names: bool
):
    original = messages.Message(Offset(9), 8, b"another key", value)
    headers = letter_format.dead_letter(topics.PAYMENT, 2, original, Rejected(Fault.INVALID, "bad")).headers
    asked.copy.write(FakeMessage(topics.DEAD_LETTERS, 5, value, b"another key", 99, headers))
    assert bool(asked.order().letters) is names


def test_a_letter_that_was_sent_again_says_so(asked: QueryTester):
    asked.after(completed("o1"))
    record = letter_format.marker(letter_format.LetterId(topics.CHECKOUT, 3, 0), 3, b"{}", [])
    asked.copy.write(FakeMessage(record.topic, 7, None, record.key or b"", 99, record.headers))
    (letter,) = asked.order().letters
    assert [replay["time"] for replay in letter["replays"]] == [99]


def test_a_letter_that_was_dismissed_is_settled_and_not_counted(asked: QueryTester):
    asked.after(completed("o1"), completed("o2"))

    def count(**options: bool) -> int:
        return sum(asked(dead_letters.counts, **options).values())

    assert count() == 2
    record = letter_format.dismissal(letter_format.LetterId(topics.CHECKOUT, 3, 0), 3, "a test of ours")
    asked.copy.write(FakeMessage(record.topic, 7, None, record.key or b"", 99, record.headers))
    (letter,) = asked.order().letters
    assert [each["note"] for each in letter["dismissals"]] == ["a test of ours"] and letter["replays"] == []
    assert (count(), count(settled=True)) == (1, 2)
    assert [each["at_offset"] for each in asked(dead_letters.page, 9)] == [1]
    assert [each["at_offset"] for each in asked(dead_letters.page, 9, settled=True)] == [1, 0]


def test_late_orders_are_those_that_have_not_ended_before_their_first_deadline(asked: QueryTester):
    asked.after(placed(lines=MUGS), silent=topics.INVENTORY)
    asked.after(placed("o2"))
    placed_at = asked.order().order["placed_at"]  # type: ignore[index]
    assert asked(orders.counts, orders.late(placed_at + 30_000)) == {}
    assert asked(orders.counts, orders.late(placed_at + 30_001)) == {"OPEN": 1}


def test_stock_is_received_and_available_or_reserved_or_sold(asked: QueryTester):
    asked.after(placed(lines=MUGS), placed("o2", lines=MUGS, country="FR"))
    asked.after(placed("o3", lines=[{"sku": "MUG", "quantity": 1}]), silent=topics.SHIPPING)
    (main, north) = asked(stock.one, "MUG")
    assert main == stock.StockBalance("main", "MUG", 10, 7, 1) and main.sold == 2
    assert north == stock.StockBalance("north", "MUG", 3, 3, 0) and north.sold == 0
    accounted = asked(stock.accounted, "MUG")
    assert accounted == {("main", "MUG"): {"COMPLETED": 2, "OPEN": 1}}
    assert of_stock(main, accounted["main", "MUG"]).in_words() == (
        "received 10 = available 7 + reserved 1 + sold 2"
    )


def test_the_orders_that_hold_an_article_are_told_newest_first_page_by_page(asked: QueryTester):
    asked.after(*(placed(f"o{at}", lines=[{"sku": "MUG", "quantity": at}]) for at in (1, 2, 3)))
    asked.after(
        placed("o4", lines=[{"sku": "CUP", "quantity": 1}]), placed("o5", lines=MUGS, warehouse="north")
    )
    held = asked(stock.holders, ("main", "MUG"), 2)
    assert [(each["order_id"], each["quantity"]) for each in held] == [("o3", 3), ("o2", 2)]
    last = held[-1]
    rest = asked(stock.holders, ("main", "MUG"), 2, (last["placed_at"], last["order_id"]))
    assert [each["order_id"] for each in rest] == ["o1"]
    assert asked(stock.holders, ("main", "MUG"), 9, open_only=True) == []


def test_units_that_no_copied_order_has_are_told_and_not_hidden(asked: QueryTester):
    rows = asked.services.send(placed(lines=MUGS))
    asked.copy.write(*(row for row in rows if "stock" in row.topic()))
    (main, _) = asked(stock.one, "MUG")
    told = of_stock(main, asked(stock.accounted, "MUG").get(("main", "MUG"), {}))
    assert told.unaccounted == 2 and "2 of that in no order of this copy" in told.in_words()


def test_an_account_is_deposited_and_there_or_paid(asked: QueryTester):
    asked.after(placed(customer_id="ada", amount="40.00"), deposit("d2", "9", "ada", "JPY"))
    asked.after(placed("o2", customer_id="ada", amount="60.00"), silent=topics.INVENTORY)
    pounds, yen = asked(accounts.one, "ada")
    assert pounds == accounts.AccountBalance("ada", "GBP", Decimal(500), Decimal(400), Decimal(60))
    assert (pounds.paid, str(pounds.reserved), str(yen.reserved), yen.paid) == (40, "60.00", "0", 0)
    accounted = asked(accounts.accounted, "ada")
    assert of_account(pounds, accounted["ada", "GBP"]).in_words() == (
        "deposited 500.00 = balance 400.00 + reserved 60.00 + paid 40.00"
    )
    assert [each["order_id"] for each in asked(accounts.holders, ("ada", "GBP"), 9)] == ["o1", "o2"][::-1]
    assert [each["order_id"] for each in asked(accounts.holders, ("ada", "GBP"), 9, open_only=True)] == ["o2"]


def test_what_was_paid_before_there_was_an_account_is_told_apart(asked: QueryTester):
    asked.after(placed(customer_id="bob", amount="40.00"), deposit("d3", "100.00", "bob"))
    asked.after(placed("o2", customer_id="bob", amount="60.00"))
    (balance,) = asked(accounts.one, "bob")
    told = of_account(balance, asked(accounts.accounted, "bob")["bob", "GBP"])
    assert told.in_words() == (
        "deposited 100.00 = balance 40.00 + reserved 0.00 + paid 60.00; "
        "40.00 more was paid before the first deposit, without an account"
    )


@pytest.mark.parametrize("ask", [stock.page, accounts.page])
def test_pages_give_everything_once_and_searches_are_never_patterns(asked: QueryTester, ask: Any):
    asked.after(deposit("d2", "1", "bob"), deposit("d3", "1", "bo"), deposit("d4", "1", "Ada"))
    everything = asked(ask, 100)
    paged: list[Any] = []
    while page := asked(ask, 2, tuple(paged[-1][:2]) if paged else None):
        paged += page
    assert paged == everything and len(everything) >= 3
    assert everything == sorted(everything)
    for text in ("%", "_", "' OR 1=1 --", "x" * 65, "\x00", "\ud800"):
        assert asked(ask, 100, q=text) == []


def test_articles_are_found_by_warehouse_and_how_their_sku_begins(asked: QueryTester):
    assert [each.sku for each in asked(stock.page, 9, warehouse="main")] == ["CUP", "MUG"]
    assert [each.warehouse for each in asked(stock.page, 9, q="MU")] == ["main", "north"]
    assert [each.customer_id for each in asked(accounts.page, 9, q="ad")] == ["ada"]


def fill_a_list(asked: QueryTester) -> None:
    """Orders of four amounts; one of them turned round, and one is not ended."""
    for order_id, amount in (("a", "9.00"), ("b", "100.00"), ("c", "9.00")):
        asked.after(placed(order_id, amount, customer_id="ada"))
    asked.after(placed("d", "2000.00", customer_id="bob"))
    asked.after(placed("e", "20.50"), silent=topics.PAYMENT)


def listed(asked: QueryTester, *arguments: Any, **options: Any) -> str:
    return "".join(row["order_id"] for row in asked(orders.page, *arguments, **options))


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        (OrderFilter(reason="over_limit"), "d"),
        (OrderFilter(customer="ada"), "cba"),
        (OrderFilter(customer="ad"), ""),
        (OrderFilter(least=Decimal("9.01")), "edb"),
        (OrderFilter(most=Decimal("20.5")), "eca"),
        (OrderFilter(least=Decimal(10), most=Decimal(100)), "eb"),
    ],
)
def test_orders_are_found_by_reason_customer_and_amount(asked: QueryTester, choice: OrderFilter, ids: str):
    fill_a_list(asked)
    assert listed(asked, choice, 10) == ids
    assert sum(asked(orders.counts, choice).values()) == len(ids)


@pytest.mark.parametrize(
    ("sort", "ids"),
    [(Sort.NEWEST, "edcba"), (Sort.OLDEST, "abcde"), (Sort.LARGEST, "dbeca"), (Sort.SMALLEST, "acebd")],
)
def test_a_sorted_list_has_the_same_pages_forwards_and_backwards(asked: QueryTester, sort: Sort, ids: str):
    fill_a_list(asked)
    everything = OrderFilter()
    assert listed(asked, everything, 10, sort=sort) == ids
    for place in range(5):
        assert listed(asked, everything, 2, ids[place], sort=sort) == ids[place + 1 : place + 3]
        before = ids[max(0, place - 2) : place]
        assert listed(asked, everything, 2, ids[place], sort=sort, backwards=True) == before
