"""The orders' page: a filtered, sorted list with pages in both directions, and the same as CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.core.labels import STATES
from saga_app.core.records import Reason
from saga_app.orderdb import queries
from saga_app.orderdb.present.summary import listed_reason, listed_waits_for
from saga_app.orderdb.queries.orders import Listed, OrderFilter, Sort
from saga_app.times import written
from saga_app.web.order_filter import GivenFilter
from saga_app.web.view import InvalidAddress, Query, View

#: Rows of a list.
PAGE_SIZE: Final = 50
#: Orders that are read at once for a CSV file, and its columns.
CSV_PART: Final = 1_000
COLUMNS: Final = (
    "order_id",
    "state",
    "reason",
    "waiting_for",
    "customer_id",
    "amount",
    "currency",
    "country",
    "warehouse",
    "placed_at",
    "ended_at",
)


class Pager(NamedTuple):
    """The rows of one page, and the orders from which its neighbours begin; None if there is no neighbour."""

    rows: list[Listed]
    previous: str | None
    following: str | None


async def orders(connection: AsyncConnection, name: str, query: Query) -> View:
    """Orders that fit a filter. If a value is wrong, the form says so and keeps all values, with status 400."""
    found = GivenFilter.of(query)
    values: dict[str, Any] = {"filter": found, "states": STATES, "reasons": list(Reason), "sorts": list(Sort)}
    values["done"], values["number"] = query.get("done", ""), query.get("number", "")
    if found.wrong:
        return View("orders.html", {**values, "orders": None, "counts": {}, "total": 0}, 400)
    page = await _page(connection, found, query)
    of_all = await queries.orders.counts(connection, found.choice._replace(statuses=()))
    chosen = found.choice.statuses
    total = sum(number for state, number in of_all.items() if not chosen or state in chosen)
    return View(
        "orders.html",
        {
            **values,
            "orders": page.rows,
            "previous": page.previous,
            "following": page.following,
            "counts": {state: of_all.get(state, 0) for state in STATES},
            "total": total,
        },
    )


async def _page(connection: AsyncConnection, found: GivenFilter, query: Query) -> Pager:
    before, after = query.get("before") or None, query.get("after") or None
    try:
        rows = await queries.orders.page(
            connection,
            found.choice,
            PAGE_SIZE + 1,
            after or before,
            sort=found.sort,
            backwards=after is not None,
        )
    except LookupError:
        raise InvalidAddress(f"There is no order {(after or before)!r} in this list.") from None
    has_more = len(rows) > PAGE_SIZE
    if after is not None:
        rows = rows[-PAGE_SIZE:]
        has_previous, has_following = has_more, bool(rows)
    else:
        rows = rows[:PAGE_SIZE]
        has_previous, has_following = before is not None and bool(rows), has_more
    return Pager(
        rows,
        rows[0]["order_id"] if has_previous else None,
        rows[-1]["order_id"] if has_following else None,
    )


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """The number of orders of each state."""
    found = await queries.orders.counts(connection, OrderFilter())
    return {state: found.get(state, 0) for state in STATES}


def csv_filter(query: Query) -> GivenFilter:
    """The filter of the file. Raises `InvalidAddress`."""
    found = GivenFilter.of(query)
    if found.wrong:
        raise InvalidAddress(" ".join(found.wrong.values()))
    return found


async def csv_part(
    connection: AsyncConnection, found: GivenFilter, last: str | None
) -> tuple[bytes, str | None]:
    """The lines behind the order `last`, with the heading before the first; and the last order, None at the end."""
    rows = await queries.orders.page(connection, found.choice, CSV_PART, last, sort=found.sort)
    lines = _lines([*([COLUMNS] if last is None else []), *map(_cells, rows)])
    return lines, rows[-1]["order_id"] if len(rows) == CSV_PART else None


def _cells(row: Listed) -> list[str]:
    texts = {
        **row,
        "state": row["status"],
        "reason": listed_reason(row),
        "waiting_for": listed_waits_for(row),
        "placed_at": written(row["placed_at"]),
        "ended_at": "" if row["ended_at"] is None else written(row["ended_at"]),
    }
    return ["" if texts[name] is None else str(texts[name]) for name in COLUMNS]


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
