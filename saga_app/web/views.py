"""The data of each page: queries of the order database, and the template with its values."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import urls
from saga_app.core.labels import STATES
from saga_app.core.rows import Status
from saga_app.dead_letters.format import LetterId
from saga_app.orderdb import queries
from saga_app.orderdb.present import reconciliation
from saga_app.orderdb.present.summary import listed_in_short, sentence, untaken_in_words
from saga_app.orderdb.present.timeline import route, timeline
from saga_app.orderdb.queries.order import OrderDetails, find
from saga_app.orderdb.queries.orders import Listed, OrderFilter
from saga_app.orderdb.queries.recent import recent
from saga_app.times import moment, now

#: Rows of a list.
PAGE_SIZE: Final = 50
#: Orders on the overview: the newest, and the late ones.
NEWEST: Final = 20
LATE: Final = 10
Query = Mapping[str, str]


class View(NamedTuple):
    """The template of a page, its values, and the status of the response."""

    template: str
    values: dict[str, Any]
    status: int = 200


class BalancePage(NamedTuple):
    """The page of a kind of balance: its queries, its sum and its words.

    `at` is the field of a balance that its heading shows behind `part`; `amount` is the field of an order's share.
    """

    queries: Any
    adds_up: Callable[..., reconciliation.Reconciliation]
    head: str
    part: str
    at: str
    caption: str
    column: str
    amount: str


_ARTICLE: Final = BalancePage(
    queries.stock,
    reconciliation.of_stock,
    head="Article",
    part="Warehouse",
    at="warehouse",
    caption="Orders that have some of it",
    column="Units",
    amount="quantity",
)
_ACCOUNT: Final = BalancePage(
    queries.accounts,
    reconciliation.of_account,
    head="Account of",
    part="Currency",
    at="currency",
    caption="Orders that it paid",
    column="Amount",
    amount="amount",
)


class InvalidAddress(Exception):
    """A value in the address is invalid; the message names it and its right form."""


async def overview(connection: AsyncConnection, name: str, query: Query) -> View:
    """The first page: numbers, outcomes of the last minutes, late orders, the newest orders."""
    late = queries.orders.late(now())
    return View(
        "overview.html",
        {
            "counts": await _counts(connection, OrderFilter()),
            "recent": await recent(connection, now()),
            "late": sum((await queries.orders.counts(connection, late)).values()),
            "late_orders": _with_short(await queries.orders.page(connection, late, LATE, oldest_first=True)),
            "newest": _with_short(await queries.orders.page(connection, OrderFilter(), NEWEST)),
            "dead": sum((await queries.dead_letters.counts(connection)).values()),
        },
    )


async def orders(connection: AsyncConnection, name: str, query: Query) -> View:
    """Orders by state, time and text, newest first. Raises `InvalidAddress`."""
    choice, given = _choice(query), _given(query, "state", "q", "since", "late")
    try:
        found = await queries.orders.page(connection, choice, PAGE_SIZE + 1, query.get("before") or None)
    except LookupError:
        raise InvalidAddress(f"There is no order {query['before']!r} to go on after.") from None
    return View(
        "orders.html",
        {
            "orders": _with_short(found[:PAGE_SIZE]),
            "next": found[PAGE_SIZE - 1]["order_id"] if len(found) > PAGE_SIZE else None,
            "counts": await _counts(connection, choice._replace(statuses=())),
            "given": given,
            "is_first": not query.get("before"),
        },
    )


async def order(connection: AsyncConnection, name: str, query: Query) -> View:
    """Everything about one order."""
    found = await find(connection, name)
    if found.order is None and not found.events and not found.letters:
        return View("no_order.html", {"order_id": name}, 404)
    standing = found.status
    return View(
        "order.html",
        {
            "found": found,
            "standing": standing,
            "sentence": _sentence(found),
            "route": None if standing is None else route(standing),
            "timeline": timeline(found.events, found.letters, found.steps),
            "can_cancel": standing is not None and standing.status is Status.OPEN,
            "done": query.get("done", ""),
        },
    )


async def stocks(connection: AsyncConnection, name: str, query: Query) -> View:
    """The stock of each article."""
    found = await queries.stock.page(connection, PAGE_SIZE + 1, _after(query), query.get("q", ""))
    return _balances("stock.html", found, query)


async def article(connection: AsyncConnection, name: str, query: Query) -> View:
    """One article in all warehouses, with the orders that hold some of it."""
    return await _one(connection, _ARTICLE, name)


async def accounts(connection: AsyncConnection, name: str, query: Query) -> View:
    """The accounts of each customer."""
    found = await queries.accounts.page(connection, PAGE_SIZE + 1, _after(query), query.get("q", ""))
    return _balances("accounts.html", found, query)


async def account(connection: AsyncConnection, name: str, query: Query) -> View:
    """The accounts of one customer, with the orders that they paid."""
    return await _one(connection, _ACCOUNT, name)


async def dead_letters(connection: AsyncConnection, name: str, query: Query) -> View:
    """Unsettled dead letters, newest first; with `settled=1` all. Raises `InvalidAddress`."""
    before = place(query["before"]) if query.get("before") else None
    given = _given(query, "reason", "settled")
    settled = given.get("settled") == "1"
    found = await queries.dead_letters.page(
        connection, PAGE_SIZE + 1, query.get("reason", ""), before, settled=settled
    )
    return View(
        "dead_letters.html",
        {
            "letters": found[:PAGE_SIZE],
            "next": found[PAGE_SIZE - 1]["id"] if len(found) > PAGE_SIZE else None,
            "counts": await queries.dead_letters.counts(connection, settled=settled),
            "given": given,
        },
    )


async def dead_letter(connection: AsyncConnection, name: str, query: Query) -> View:
    """One dead letter with its bytes; `name` is TOPIC:PARTITION:OFFSET."""
    found = await queries.dead_letters.one(connection, place(name))
    if found is None:
        return View("no_letter.html", {"id": name}, 404)
    return View("dead_letter.html", {"letter": found, "plan": None, "done": query.get("done", "")})


def place(text: str) -> LetterId:
    """The place of a record, from TOPIC:PARTITION:OFFSET. Raises `InvalidAddress`."""
    found = LetterId.parse(text)
    if found is None:
        raise InvalidAddress(
            f"{text[:80]!r} is no place of a record; they are written TOPIC:PARTITION:OFFSET."
        )
    return found


def _sentence(found: OrderDetails) -> str | None:
    if found.untaken is not None:
        return untaken_in_words(found.untaken, now())
    return None if found.status is None else sentence(found.status).in_words(now())


def _choice(query: Query) -> OrderFilter:
    """The filter in the address. Raises `InvalidAddress`."""
    state, since = query.get("state", "").upper(), query.get("since", "")
    if state and state not in STATES:
        raise InvalidAddress(f"There is no state {state!r}; there are {', '.join(STATES)}.")
    try:
        at = moment(since, now()) if since else None
    except ValueError as error:
        raise InvalidAddress(str(error)) from None
    choice = OrderFilter((state,) if state else (), at, query.get("q", ""))
    if query.get("late"):
        late = queries.orders.late(now())
        return choice._replace(until=late.until, statuses=choice.statuses or late.statuses)
    return choice


async def _counts(connection: AsyncConnection, choice: OrderFilter) -> dict[str, int]:
    found = await queries.orders.counts(connection, choice)
    return {state: found.get(state, 0) for state in STATES}


def _with_short(orders: list[Listed]) -> list[Listed]:
    """Adds to each order a few words about where it is."""
    return [{**each, "short": listed_in_short(each)} for each in orders]


def _given(query: Query, *names: str) -> dict[str, str]:
    return {name: query.get(name, "") for name in names}


def _after(query: Query) -> tuple[str, str] | None:
    text = query.get("after", "")
    first, colon, second = text.partition(":")
    if text and not colon:
        raise InvalidAddress(f"{text!r} is no place in this list.")
    return (first, second) if text else None


def _balances(template: str, found: list[Any], query: Query) -> View:
    return View(
        template,
        {
            "rows": found[:PAGE_SIZE],
            "next": ":".join(found[PAGE_SIZE - 1][:2]) if len(found) > PAGE_SIZE else None,
            "given": _given(query, "q"),
        },
    )


async def _one(connection: AsyncConnection, kind: BalancePage, name: str) -> View:
    accounted = await kind.queries.accounted(connection, name)
    rows = [
        {
            "balance": balance,
            "sum": kind.adds_up(balance, accounted.get(balance[:2], {})),
            "holders": await kind.queries.holders(connection, balance[:2], PAGE_SIZE),
        }
        for balance in await kind.queries.one(connection, name)
    ]
    return View("balance.html", {"name": name, "rows": rows, "kind": kind}, 200 if rows else 404)


#: By page; `{name}` of the address is the second argument.
VIEWS: Final[Mapping[str, Callable[[AsyncConnection, str, Query], Awaitable[View]]]] = {
    urls.OVERVIEW: overview,
    urls.ORDERS: orders,
    urls.ORDER: order,
    urls.STOCK: stocks,
    urls.ARTICLE: article,
    urls.ACCOUNTS: accounts,
    urls.ACCOUNT: account,
    urls.DEAD_LETTERS: dead_letters,
    urls.DEAD_LETTER: dead_letter,
}
