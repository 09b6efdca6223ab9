"""`saga orders`: the orders, newest first, from the order database."""

import asyncio
from typing import Final

import click

from saga_app.commands.args import TimeParam, limit_option
from saga_app.commands.copy_lag import lag_by_topic
from saga_app.commands.health_line import with_health
from saga_app.commands.needs_database import needs_database
from saga_app.commands.render.listing import Column, Listing, show_note, show_rows
from saga_app.commands.render.output import CommandFailed, Output, as_list, one_line_errors
from saga_app.core.labels import STATES
from saga_app.settings import Settings
from saga_app.times import now

#: The records of each topic that are not copied yet.
LAG: Final = Listing(
    (
        Column("topic", lambda row, screen: row[0]),
        Column("records behind", lambda row, screen: f"{row[1]:,}", is_right=True),
    ),
    lambda row: {"topic": row[0], "lag": row[1]},
    lambda row: row[0],
    ("topic", "lag"),
    "no topics",
)
#: The number of orders of each state.
COUNTS: Final = Listing(
    (
        Column("state", lambda row, screen: screen.state(row[0])),
        Column("orders", lambda row, screen: f"{row[1]:,}", is_right=True),
    ),
    lambda row: {"state": row[0], "number": row[1]},
    lambda row: row[0],
    ("state", "number"),
    "no orders",
)


@click.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES, case_sensitive=False),
    help="Only these. May be repeated. PLACED: no worker has taken it.",
)
@click.option(
    "--since", metavar="TIME", type=TimeParam(), help="Placed since then: a time, or 30m, 12h, 7d ago."
)
@click.option(
    "--q", default="", metavar="TEXT", help="Only where the order's id, its customer or a SKU begins so."
)
@limit_option
@click.option("--after", metavar="ID", help="The next page: the orders behind this one.")
@click.option(
    "--late", is_flag=True, help="Only those that have not ended before their first deadline, 30 s."
)
@click.option(
    "--in-doubt",
    is_flag=True,
    help="Only those of which a provider was asked 5 minutes ago or longer, or in conflict.",
)
@click.option("--count", is_flag=True, help="Only how many there are of each state.")
@click.option("--lag", is_flag=True, help="Only how far the database is behind the topics.")
@as_list
@with_health
@one_line_errors
@needs_database
def orders(
    states: tuple[str, ...],
    since: int | None,
    q: str,
    limit: int,
    after: str | None,
    late: bool,
    in_doubt: bool,
    count: bool,
    lag: bool,
    output: Output,
) -> None:
    """List the orders, newest first, with what each step has done.

    \b
    saga orders
    saga orders --state CANCELLED --since 1h
    saga orders --late
    saga orders --in-doubt
    saga orders --q MUG --limit 10
    saga orders --after 4711 -o csv
    saga orders --late -o name | xargs -n1 saga order
    saga orders --lag

    It reads the order database, which `saga orderdb run` keeps up to date; SAGA_DB_URL says where that is.
    """
    from saga_app.effects.dispatcher import IN_DOUBT
    from saga_app.orderdb.queries import orders, reading

    settings = Settings.read()
    if lag:
        _show_lag(settings, output)
        return
    choice = orders.OrderFilter(tuple(state.upper() for state in states), since, q)
    if late:
        of_late = orders.late(now())
        choice = choice._replace(until=of_late.until, statuses=choice.statuses or of_late.statuses)
    if in_doubt:
        choice = choice._replace(asked_before=now() - IN_DOUBT)
    if count:
        counts = asyncio.run(reading.ask(settings, lambda connection: orders.counts(connection, choice)))
        show_rows(COUNTS, counts.items(), output)
        return
    try:
        found = asyncio.run(
            reading.ask(settings, lambda connection: orders.page(connection, choice, limit, after))
        )
    except LookupError:
        raise CommandFailed(f"--after {after}: there is no such order") from None
    from saga_app.commands.render.order_list import ORDERS

    show_rows(ORDERS, found, output)
    if len(found) == limit:
        show_note(f"older ones: --after {found[-1]['order_id']}", output)


def _show_lag(settings: Settings, output: Output) -> None:
    behind = lag_by_topic(settings)
    show_rows(LAG, behind.items(), output)
    show_note(f"{sum(behind.values()):,} in all", output)
