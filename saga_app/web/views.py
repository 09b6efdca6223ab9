"""What each page shows: questions to the order database, and the template with its values."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.row_keys import balance_key, parts_of_balance
from saga_app.core.rows import Status
from saga_app.dead_letters.filters import moment
from saga_app.dead_letters.format import LetterId
from saga_app.orderdb import queries
from saga_app.orderdb.present import reconciliation
from saga_app.orderdb.present.order_status import OrderStatus
from saga_app.orderdb.present.summary import in_short, sentence
from saga_app.orderdb.present.timeline import route, timeline
from saga_app.orderdb.queries.order import find
from saga_app.orderdb.queries.orders import Listed, OrderFilter
from saga_app.orderdb.queries.recent import recent
from saga_app.times import now

#: Rows of a page.
MOST: Final = 50
#: Orders of the first page.
NEWEST: Final = 20
#: Late orders that it names.
LATE: Final = 10
Query = Mapping[str, str]


class View(NamedTuple):
    """A template and its values."""

    template: str
    values: dict[str, Any]
    status: int = 200


class Kind(NamedTuple):
    """How a balance is asked for, added up and named; `at` is its field under `part`, `amount` what an order has."""

    asked: Any
    adds_up: Callable[..., reconciliation.Reconciliation]
    head: str
    part: str
    at: str
    caption: str
    column: str
    amount: str


_ARTICLE: Final = Kind(
    queries.stock,
    reconciliation.of_stock,
    head="Article",
    part="Warehouse",
    at="warehouse",
    caption="Orders that have some of it",
    column="Units",
    amount="quantity",
)
_ACCOUNT: Final = Kind(
    queries.accounts,
    reconciliation.of_account,
    head="Account of",
    part="Currency",
    at="currency",
    caption="Orders that it paid",
    column="Amount",
    amount="amount",
)


class Wrong(Exception):
    """The address asks for something that cannot be; the message says what and how it is written."""


async def overview(connection: AsyncConnection, name: str, query: Query) -> View:
    """The first page: numbers, what became of the orders of the last minutes, late orders, the newest orders."""
    late = queries.orders.late(now())
    return View(
        "overview.html",
        {
            "counts": await _counts(connection, OrderFilter()),
            "recent": await recent(connection, now()),
            "late": sum((await queries.orders.counts(connection, late)).values()),
            "late_orders": _said(await queries.orders.page(connection, late, LATE, oldest_first=True)),
            "newest": _said(await queries.orders.page(connection, OrderFilter(), NEWEST)),
            "dead": sum((await queries.dead_letters.counts(connection)).values()),
        },
    )


async def orders(connection: AsyncConnection, name: str, query: Query) -> View:
    """Orders by state, time and text, newest first. `Wrong` if the address is."""
    choice, given = _choice(query), _given(query, "state", "q", "since", "late")
    try:
        found = await queries.orders.page(connection, choice, MOST + 1, query.get("before") or None)
    except LookupError:
        raise Wrong(f"There is no order {query['before']!r} to go on after.") from None
    return View(
        "orders.html",
        {
            "orders": _said(found[:MOST]),
            "next": found[MOST - 1]["order_id"] if len(found) > MOST else None,
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
            "sentence": None if standing is None else sentence(standing).in_words(now()),
            "route": None if standing is None else route(standing),
            "timeline": timeline(found.events, found.letters, found.steps),
            "can_cancel": standing is not None and standing.status is Status.OPEN,
            "done": query.get("done", ""),
        },
    )


async def stocks(connection: AsyncConnection, name: str, query: Query) -> View:
    """How much there is of each article."""
    found = await queries.stock.page(connection, MOST + 1, _after(query), query.get("q", ""))
    return _balances("stock.html", found, query)


async def article(connection: AsyncConnection, name: str, query: Query) -> View:
    """One article in all warehouses, and who has what of it."""
    return await _one(connection, _ARTICLE, name)


async def holders(connection: AsyncConnection, name: str, query: Query) -> View:
    """How much each customer has."""
    found = await queries.accounts.page(connection, MOST + 1, _after(query), query.get("q", ""))
    return _balances("accounts.html", found, query)


async def account(connection: AsyncConnection, name: str, query: Query) -> View:
    """One customer's money, and the orders that took some."""
    return await _one(connection, _ACCOUNT, name)


async def dead_letters(connection: AsyncConnection, name: str, query: Query) -> View:
    """What could not be applied, newest first. `Wrong` if the address is."""
    before = place(query["before"]) if query.get("before") else None
    found = await queries.dead_letters.page(connection, MOST + 1, query.get("reason", ""), before)
    return View(
        "dead_letters.html",
        {
            "letters": found[:MOST],
            "next": found[MOST - 1]["id"] if len(found) > MOST else None,
            "counts": await queries.dead_letters.counts(connection),
            "given": _given(query, "reason"),
        },
    )


async def dead_letter(connection: AsyncConnection, name: str, query: Query) -> View:
    """One of them, with its bytes; `name` is TOPIC:PARTITION:OFFSET."""
    found = await queries.dead_letters.one(connection, place(name))
    if found is None:
        return View("no_letter.html", {"id": name}, 404)
    return View("dead_letter.html", {"letter": found, "plan": None, "done": query.get("done", "")})


def place(text: str) -> LetterId:
    """The place of a record, written TOPIC:PARTITION:OFFSET; `Wrong` if it is not."""
    found = LetterId.parse(text)
    if found is None:
        raise Wrong(f"{text[:80]!r} is no place of a record; they are written TOPIC:PARTITION:OFFSET.")
    return found


def _choice(query: Query) -> OrderFilter:
    """`Wrong` if it cannot be."""
    state, since = query.get("state", "").upper(), query.get("since", "")
    if state and state not in set(Status):
        raise Wrong(f"There is no state {state!r}; there are {', '.join(Status)}.")
    try:
        at = moment(since, datetime.now(UTC)) if since else None
    except ValueError as error:
        raise Wrong(str(error)) from None
    choice = OrderFilter((state,) if state else (), at, query.get("q", ""))
    if query.get("late"):
        late = queries.orders.late(now())
        return choice._replace(until=late.until, statuses=choice.statuses or late.statuses)
    return choice


async def _counts(connection: AsyncConnection, choice: OrderFilter) -> dict[str, int]:
    found = await queries.orders.counts(connection, choice)
    return {status.value: found.get(status, 0) for status in Status}


def _said(orders: list[Listed]) -> list[Listed]:
    """Each with a few words about where it is."""
    return [{**each, "short": in_short(OrderStatus.of_listed(each))} for each in orders]


def _given(query: Query, *names: str) -> dict[str, str]:
    return {name: query.get(name, "") for name in names}


def _after(query: Query) -> tuple[str, str] | None:
    text = query.get("after", "")
    try:
        return parts_of_balance(text) if text else None
    except ValueError:
        raise Wrong(f"{text!r} is no place in this list.") from None


def _balances(template: str, found: list[Any], query: Query) -> View:
    return View(
        template,
        {
            "rows": found[:MOST],
            "next": balance_key(*found[MOST - 1][:2]) if len(found) > MOST else None,
            "given": _given(query, "q"),
        },
    )


async def _one(connection: AsyncConnection, kind: Kind, name: str) -> View:
    accounted = await kind.asked.accounted(connection, name)
    rows = [
        {
            "balance": balance,
            "sum": kind.adds_up(balance, accounted.get(balance[:2], {})),
            "holders": await kind.asked.holders(connection, balance[:2], MOST),
        }
        for balance in await kind.asked.one(connection, name)
    ]
    return View("balance.html", {"name": name, "rows": rows, "kind": kind}, 200 if rows else 404)


#: By the path, where `{name}` is the second argument.
VIEWS: Final[Mapping[str, Callable[[AsyncConnection, str, Query], Awaitable[View]]]] = {
    "/": overview,
    "/orders/": orders,
    "/orders/{name}/": order,
    "/stock/": stocks,
    "/stock/{name}/": article,
    "/accounts/": holders,
    "/accounts/{name}/": account,
    "/dead-letters/": dead_letters,
    "/dead-letters/{name}/": dead_letter,
}
