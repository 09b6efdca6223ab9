"""Several orders or dead letters at once: a page that counts what an action would change, and what it leaves alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import urls
from saga_app.core.rows import OPEN_STATUSES, Status
from saga_app.dead_letters.format import LetterId
from saga_app.orderdb import queries
from saga_app.orderdb.queries.orders import Listed
from saga_app.web.order_filter import GivenFilter
from saga_app.web.places import place
from saga_app.web.view import InvalidAddress, Query, View

#: Orders or letters at once.
MOST: Final = 100


class BulkAction(NamedTuple):
    """An action on many: its verb, what it does, the states of orders that it changes, and its button."""

    verb: str
    what: str
    states: frozenset[str] = frozenset()


ORDERS: Final[Mapping[str, BulkAction]] = {
    urls.CANCEL: BulkAction(
        "Cancel",
        "Each ends cancelled with everything undone, or completed if its shipment was booked first.",
        frozenset({Status.OPEN}),
    ),
    urls.NUDGE: BulkAction(
        "Nudge",
        "The record that placed each of them is sent again; nothing can happen twice.",
        OPEN_STATUSES,
    ),
}
LETTERS: Final[Mapping[str, BulkAction]] = {
    urls.REPLAY: BulkAction(
        "Send again", "Each is sent as it is. If it fails once more, it becomes a new dead letter."
    ),
    urls.DISMISS: BulkAction("Dismiss", "Nothing is sent. Lists and counts leave them out from now on."),
}


class Chosen(NamedTuple):
    """The rows that an action changes, and those that it leaves alone."""

    fitting: list[Listed]
    left: list[Listed]


async def confirm_orders(connection: AsyncConnection, name: str, query: Query) -> View:
    """Asks before many orders are changed: those that are marked, or with `all` those that fit the filter."""
    action, what = _action(query, ORDERS)
    total = None
    if query.get("all"):
        found = GivenFilter.of(query)
        wanted = found.choice.statuses or tuple(what.states)
        choice = found.choice._replace(statuses=tuple(set(wanted) & what.states) or ("none",))
        rows = await queries.orders.page(connection, choice, MOST, sort=found.sort)
        total = sum((await queries.orders.counts(connection, choice)).values())
    else:
        rows = await queries.orders.of_ids(connection, _ids(query))
    values = _values(action, what, orders_that(action, rows), "order_id", urls.BULK_ORDERS)
    return View("bulk.html", {**values, "kind": "order", "total": total})


async def confirm_letters(connection: AsyncConnection, name: str, query: Query) -> View:
    """Asks before many dead letters are settled."""
    action, what = _action(query, LETTERS)
    rows = [await queries.dead_letters.one(connection, place(each)) for each in _ids(query)]
    chosen = letters_that([each for each in rows if each is not None])
    values = _values(action, what, chosen, "id", urls.BULK_LETTERS)
    return View("bulk.html", {**values, "kind": "dead letter", "total": None})


def orders_that(action: str, rows: Sequence[Listed]) -> Chosen:
    """Orders that the action changes."""
    states = ORDERS[action].states
    return _split(rows, lambda row: row["status"] in states)


def letters_that(rows: Sequence[Listed]) -> Chosen:
    """Letters that are not settled."""
    return _split(rows, lambda row: not row["replays"] and not row["dismissals"])


def named(form: Mapping[str, str]) -> list[str]:
    """The ids in a form that was confirmed. Raises `InvalidAddress`."""
    found = form.get("ids", "").split()
    if not 0 < len(found) <= MOST:
        raise InvalidAddress(f"Nothing is marked, or more than {MOST}.")
    return found


def _split(rows: Sequence[Listed], fits: Callable[[Listed], bool]) -> Chosen:
    return Chosen([each for each in rows if fits(each)], [each for each in rows if not fits(each)])


def _action(query: Query, known: Mapping[str, BulkAction]) -> tuple[str, BulkAction]:
    name = query.get("do", "")
    if name not in known:
        raise InvalidAddress(f"There is no action {name[:80]!r}; there are {', '.join(known)}.")
    return name, known[name]


def _ids(query: Query) -> list[str]:
    found = query.getall("id", [])
    if not 0 < len(found) <= MOST:
        raise InvalidAddress(f"Mark at least one row, and at most {MOST}.")
    return list(dict.fromkeys(found))


def _values(action: str, what: BulkAction, chosen: Chosen, key: str, address: str) -> dict[str, Any]:
    ids = [row[key] for row in chosen.fitting]
    return {"action": action, "what": what, "chosen": chosen, "ids": ids, "address": address}


def places(form: Mapping[str, str]) -> list[LetterId]:
    """The dead letters in a form that was confirmed."""
    return [place(each) for each in named(form)]
