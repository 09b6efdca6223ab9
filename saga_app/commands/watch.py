"""`saga watch`: all orders at one look, again and again; from the order database."""

import asyncio

import click

from saga_app.commands.needs_database import with_sql
from saga_app.commands.render.output import as_json, told
from saga_app.settings import Settings


@click.command()
@click.option(
    "--every",
    default=1.0,
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    show_default=True,
    help="From one look to the next.",
)
@as_json
@told
@with_sql
def watch(every: float, as_json: bool) -> None:
    """Watch the orders until Ctrl-C: how many there are of each state, which are open or late, the newest.

    \b
    saga watch
    saga watch --every 5 >> orders.log
    saga watch --json | jq .late

    On a terminal a live table; elsewhere a line whenever a number changes. Late is an order that has not ended 30
    seconds after it was placed, its first deadline. `behind` is how many records the order database does not have yet.
    """
    from saga_app.commands import watching

    try:
        asyncio.run(watching.watch(Settings.read(), every, as_json=as_json))
    except asyncio.CancelledError:
        raise click.Abort from None
