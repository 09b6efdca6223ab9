"""The page of the operator log: what people and programs did, from the records that they sent."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app import urls
from saga_app.orderdb.copy import action_rows
from saga_app.orderdb.queries import actions
from saga_app.web.order_list import PAGE_SIZE
from saga_app.web.places import place
from saga_app.web.view import Query, View, given_in

#: Types of actions, in words.
KINDS: Final = {
    "CancellationRequested": "cancelled an order",
    "FundsDeposited": "deposited money",
    "FundsWithdrawn": "withdrew money",
    "StockReceived": "received stock",
    "StockAdjusted": "adjusted stock",
    "PolicyChanged": "changed a rule",
    "StepAnswered": "told what a provider did",
    action_rows.REPLAYED: "sent a dead letter again",
    action_rows.DISMISSED: "dismissed a dead letter",
}


async def operator_log(connection: AsyncConnection, name: str, query: Query) -> View:
    """The actions of people and programs, newest first. Raises `InvalidAddress`."""
    before = place(query["before"]) if query.get("before") else None
    given = given_in(query, "actor", "type")
    found = await actions.page(connection, PAGE_SIZE + 1, given["actor"], given["type"], before)
    return View(
        "actions.html",
        {
            "rows": found[:PAGE_SIZE],
            "next": found[PAGE_SIZE - 1]["id"] if len(found) > PAGE_SIZE else None,
            "given": given,
            "kinds": KINDS,
            "about": _about,
        },
    )


def _about(row: Mapping[str, Any]) -> str | None:
    """The page of the thing that an action is about; None if there is none."""
    match row["type"]:
        case "FundsDeposited" | "FundsWithdrawn":
            return urls.account(row["about"])
        case "StockReceived" | "StockAdjusted":
            return urls.STOCK
        case "PolicyChanged":
            return None
        case action_rows.REPLAYED | action_rows.DISMISSED:
            return urls.dead_letter(row["about"])
    return urls.order(row["about"])
