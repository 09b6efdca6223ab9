"""The data of each page: queries of the order database, and the template with its values."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import urls
from saga_app.core.rows import Status
from saga_app.dead_letters import pretty
from saga_app.dead_letters.letter import HASH
from saga_app.orderdb import queries
from saga_app.orderdb.present import reconciliation
from saga_app.orderdb.present.legs import legs
from saga_app.orderdb.present.timeline import route, timeline
from saga_app.orderdb.queries import statements
from saga_app.orderdb.queries.order import find, priced_lines
from saga_app.orderdb.queries.orders import OrderFilter, Sort
from saga_app.orderdb.queries.recent import SPANS, recent
from saga_app.orderdb.queries.statements import MOST_LATER, Statement, TooFarBack
from saga_app.times import now
from saga_app.web.bulk import confirm_letters, confirm_orders
from saga_app.web.chart import chart, percentiles
from saga_app.web.operator_log import operator_log
from saga_app.web.order_list import PAGE_SIZE, counts, orders
from saga_app.web.places import place
from saga_app.web.view import InvalidAddress, Query, View, given_in

#: Orders on the overview: the newest, and the late ones.
NEWEST: Final = 20
LATE: Final = 10


class BalancePage(NamedTuple):
    """The page of a kind of balance: its queries, its sum and its words.

    `at` is the field of a balance that its heading shows behind `part`; `amount` is the field of an order's share.
    """

    list: str
    list_name: str
    queries: Any
    adds_up: Callable[..., reconciliation.Reconciliation]
    head: str
    part: str
    at: str
    caption: str
    column: str
    amount: str
    unit: str
    statement: Callable[..., Awaitable[Statement | None]]


_ARTICLE: Final = BalancePage(
    urls.STOCK,
    "Stock",
    queries.stock,
    reconciliation.of_stock,
    head="Article",
    part="Warehouse",
    at="warehouse",
    caption="Orders that have some of it",
    column="Units",
    amount="quantity",
    unit="Units",
    statement=statements.of_article,
)
#: Withdrawals and adjustments that were refused, on a balance's page.
REFUSED: Final = 10
_ACCOUNT: Final = BalancePage(
    urls.ACCOUNTS,
    "Accounts",
    queries.accounts,
    reconciliation.of_account,
    head="Account of",
    part="Currency",
    at="currency",
    caption="Orders that it paid",
    column="Amount",
    amount="amount",
    unit="Amount",
    statement=statements.of_account,
)


async def overview(connection: AsyncConnection, name: str, query: Query) -> View:
    """The first page: numbers, outcomes of the last minutes or hours, late orders, the newest orders."""
    name = query.get("last", "") or next(iter(SPANS))
    if name not in SPANS:
        raise InvalidAddress(f"There is no span {name[:80]!r}; there are {', '.join(SPANS)}.")
    found = await recent(connection, now(), SPANS[name])
    late = queries.orders.late(now())
    return View(
        "overview.html",
        {
            "counts": await counts(connection),
            "recent": found,
            "chart": chart(found),
            "percentiles": percentiles(found),
            "spans": SPANS,
            "last": name,
            "late": sum((await queries.orders.counts(connection, late)).values()),
            "late_orders": await queries.orders.page(connection, late, LATE, sort=Sort.OLDEST),
            "newest": await queries.orders.page(connection, OrderFilter(), NEWEST),
            "dead": sum((await queries.dead_letters.counts(connection)).values()),
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
            "route": None if standing is None else route(standing),
            "timeline": timeline(found.events, found.letters, found.steps, found.patience),
            "legs": legs(found.events, has_ended=standing is None or standing.has_ended, now=now()),
            "lines": await priced_lines(connection, found),
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
    return await _one(connection, _ARTICLE, name, query)


async def accounts(connection: AsyncConnection, name: str, query: Query) -> View:
    """The accounts of each customer."""
    found = await queries.accounts.page(connection, PAGE_SIZE + 1, _after(query), query.get("q", ""))
    return _balances("accounts.html", found, query)


async def account(connection: AsyncConnection, name: str, query: Query) -> View:
    """The accounts of one customer, with the orders that they paid."""
    return await _one(connection, _ACCOUNT, name, query)


async def dead_letters(connection: AsyncConnection, name: str, query: Query) -> View:
    """Unsettled dead letters, newest first; with `settled=1` all. Raises `InvalidAddress`."""
    before = place(query["before"]) if query.get("before") else None
    given = given_in(query, "reason", "settled")
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
            "done": query.get("done", ""),
            "number": query.get("number", ""),
        },
    )


async def dead_letter(connection: AsyncConnection, name: str, query: Query) -> View:
    """One dead letter with its bytes; `name` is TOPIC:PARTITION:OFFSET."""
    view = await letter_view(connection, name)
    return view._replace(values={**view.values, "done": query.get("done", "")})


async def letter_view(connection: AsyncConnection, name: str) -> View:
    """The page of a dead letter; `payload` is its value as text that a form can hold, or empty."""
    found = await queries.dead_letters.one(connection, place(name))
    if found is None:
        return View("no_letter.html", {"id": name}, 404)
    nothing = {"plan": None, "refused": "", "is_corrected": False, "done": ""}
    return View("dead_letter.html", {"letter": found, "payload": _as_text(found["value"]), **nothing})


def _as_text(value: bytes | None) -> str:
    """JSON with a member to a line; empty if it is no plain text, or only a hash was kept."""
    if value is None or HASH.fullmatch(value):
        return ""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    lines = list(pretty.lines(value))
    return "\n".join(lines) if all(map(str.isprintable, lines)) else ""


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
            "given": given_in(query, "q"),
        },
    )


async def _one(connection: AsyncConnection, kind: BalancePage, name: str, query: Query) -> View:
    try:
        return await _balance(connection, kind, name, query)
    except TooFarBack:
        raise InvalidAddress(
            f"That is too far back: this statement goes back over the newest {MOST_LATER:,} movements."
        ) from None


async def _balance(connection: AsyncConnection, kind: BalancePage, name: str, query: Query) -> View:
    of, before = query.get("of", ""), query.get("before", "")
    if before and not (before.isdecimal() and len(before) < 19):
        raise InvalidAddress(f"{before[:80]!r} is no place in a statement.")
    accounted = await kind.queries.accounted(connection, name)
    rows = [
        {
            "balance": balance,
            "sum": kind.adds_up(balance, accounted.get(balance[:2], {})),
            "statement": await kind.statement(
                connection,
                *balance[:2],
                PAGE_SIZE,
                int(before) if before and of == getattr(balance, kind.at) else None,
            ),
            "refused": await statements.refused(connection, balance[0], balance[1], REFUSED),
            "holders": await kind.queries.holders(connection, balance[:2], PAGE_SIZE),
        }
        for balance in await kind.queries.one(connection, name)
    ]
    return View(
        "balance.html",
        {"name": name, "rows": rows, "kind": kind, "is_paged": bool(before)},
        200 if rows else 404,
    )


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
    urls.ACTIONS_LOG: operator_log,
    urls.BULK_ORDERS: confirm_orders,
    urls.BULK_LETTERS: confirm_letters,
}
