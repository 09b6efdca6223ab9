"""`saga order`: where one order is, why, and what happens next; from the order database."""

import asyncio
from typing import TYPE_CHECKING

import click

from saga_app.commands.copy_lag import behind
from saga_app.commands.needs_database import with_sql
from saga_app.commands.render.output import CANCELLED, Failed, as_json, say, show, told
from saga_app.commands.render.terminal import Screen
from saga_app.core.rows import Status
from saga_app.settings import Settings
from saga_app.times import now

if TYPE_CHECKING:
    from saga_app.orderdb.queries.order import OrderDetails


@click.command()
@click.argument("order_id", metavar="ORDER")
@click.option("--follow", is_flag=True, help="Go on until it has ended; exit code 3 if it ended cancelled.")
@click.option("--raw", is_flag=True, help="Show the rows of the order database too, as they are.")
@as_json
@told
@with_sql
def order(order_id: str, follow: bool, raw: bool, as_json: bool) -> None:
    """Tell where ORDER is and why, what happens next, and what has happened.

    \b
    saga order 4711
    saga order 4711 --follow && echo completed
    saga order 4711 --json | jq -r .words

    First one sentence, then the route with the way back below it, and everything that happened; times in UTC. From the
    order database, which `saga orderdb run` keeps up to date; `saga history ORDER` tells the same from Kafka. Exit
    codes: 0, with --follow only if the order was completed; 1 it is not there; 3 with --follow: it was cancelled.
    """
    settings = Settings.read()
    if follow:
        from saga_app.commands.following import follow as until_ended

        status = asyncio.run(until_ended(settings, order_id, as_json=as_json))
        raise SystemExit(CANCELLED if status is Status.CANCELLED else 0)
    _show(settings, _found(settings, order_id), raw=raw, as_json=as_json)


def _found(settings: Settings, order_id: str) -> "OrderDetails":
    from saga_app.orderdb.queries import reading
    from saga_app.orderdb.queries.order import find

    return asyncio.run(reading.ask(settings, lambda connection: find(connection, order_id)))


def _show(settings: Settings, found: "OrderDetails", *, raw: bool, as_json: bool) -> None:
    from saga_app.commands.render import order_page
    from saga_app.orderdb.present.order_json import as_json as machine

    standing = found.status
    age = None if standing is not None and standing.has_ended else behind(settings)
    if found.order is None and not found.events:
        letters = f"; {len(found.letters)} dead letters name it" if found.letters else ""
        raise Failed(
            f"order {found.order_id} is not in the order database{letters}; {age.in_words() if age else ''}; "
            f"`saga history {found.order_id}` reads Kafka"
        )
    if as_json:
        rows = {"rows": order_page.rows(found)} if raw else {}
        show({**machine(found, now()), "behind": age and age.records, **rows}, "", as_json=True)
        return
    screen = Screen.of_output()
    say(order_page.page(found, now(), screen))
    if age is not None:
        say(screen.wrapped(f"This is a copy; {age.in_words()}."))
    if raw:
        say(("", *order_page.raw(found)))
