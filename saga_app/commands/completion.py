"""Completion of arguments by the Tab key: without a database, or without its packages, nothing is offered."""

import asyncio
from typing import Final

import click
from click.shell_completion import CompletionItem

#: Ids that are offered.
MOST: Final = 50


def order_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest orders in the order database whose id begins so."""
    return _orders(incomplete, ())


def open_order_ids(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The same of orders that have not ended."""
    # Imported here, as in `_orders`: a command that is called offers nothing.
    from saga_app.core.labels import OPEN

    return _orders(incomplete, OPEN)


def _orders(prefix: str, states: tuple[str, ...]) -> list[CompletionItem]:
    try:
        from saga_app.orderdb.present.summary import listed_in_short
        from saga_app.orderdb.queries import orders, reading
        from saga_app.settings import Settings

        choice = orders.OrderFilter(states, q=prefix)
        found = asyncio.run(reading.ask(Settings.read(), lambda each: orders.page(each, choice, MOST)))
    except Exception:
        # A shell that waits for an answer has no use for an error.
        return []
    return [
        CompletionItem(row["order_id"], help=f"{row['status'].lower()} {listed_in_short(row)}".rstrip())
        for row in found
        if row["order_id"].startswith(prefix)
    ]
