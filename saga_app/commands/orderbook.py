"""`saga orderbook` and `saga rebuild-orders`: the order database is kept up to date."""

import time

import click

from saga_app.commands.output import printable, told
from saga_app.commands.sql import with_sql
from saga_app.commands.topics import require
from saga_app.settings import Settings, without_password


@click.command()
@click.option("--once", is_flag=True, help="Stop when everything is copied that is there now.")
@told
@with_sql
def orderbook(once: bool) -> None:
    """Copy what happens into the order database, until Ctrl-C or SIGTERM.

    \b
    saga orderbook
    saga orderbook --once
    SAGA_DB_URL=postgresql://saga:...@db/saga saga orderbook

    Goes on where it was stopped or killed: rows and offsets are written in one transaction. Broker or database may be
    away for a while. A second process on the same database does no harm, and is of no use. SAGA_DB_URL says where the
    database is; missing tables are made.
    """
    from saga_app.orderbook import process

    settings = Settings.read()
    if once:
        require(settings)
    _say(f"copying {settings.app_id!r} on {settings.broker} to {without_password(settings.db_url)}")
    began = time.monotonic()
    records = process.follow(settings, _say, once=once)
    _say(_summary(records, time.monotonic() - began))


@click.command("rebuild-orders")
@click.option("--force", is_flag=True, help="Also if the database is the only place that has some orders.")
@told
@with_sql
def rebuild_orders(force: bool) -> None:
    """Empty the order database and copy everything again, from the beginning of the topics.

    \b
    saga rebuild-orders

    A `saga orderbook` may run meanwhile: it begins again too. Until this ends, lists are not complete. Also for a
    database that is a copy of other topics. Refused if orders in it ended longer ago than SAGA_LEAVE_AFTER: their
    rows may have left the topics. Copy the database first.
    """
    from saga_app.orderbook import process

    settings = Settings.read()
    require(settings)
    began = time.monotonic()
    records = process.follow(settings, _say, once=True, empty=True, force=force)
    _say(_summary(records, time.monotonic() - began))


def _say(words: str) -> None:
    click.echo(f"orderbook: {printable(words)}")


def _summary(records: int, seconds: float) -> str:
    return f"{records:,} records copied in {seconds:.1f} s ({records / max(seconds, 0.001):,.0f} per second)"
