"""`saga orderdb run` and `saga orderdb rebuild`: the order database is kept up to date."""

import time

import click

from saga_app.commands.needs_database import with_sql
from saga_app.commands.render.output import told
from saga_app.commands.topics import require
from saga_app.settings import Settings, without_password
from saga_app.text import printable


@click.command()
@click.option("--once", is_flag=True, help="Stop when everything is copied that is there now.")
@told
@with_sql
def orderdb(once: bool) -> None:
    """Copy what happens into the order database, until Ctrl-C or SIGTERM.

    \b
    saga orderdb run
    saga orderdb run --once
    SAGA_DB_URL=postgresql://saga:...@db/saga saga orderdb run

    Goes on where it was stopped or killed: rows and offsets are written in one transaction. Broker or database may be
    away for a while. A second process on the same database does no harm, and is of no use. SAGA_DB_URL says where the
    database is; missing tables are made.
    """
    from saga_app.orderdb.copy import process

    settings = Settings.read()
    if once:
        require(settings)
    _say(f"copying {settings.app_id!r} on {settings.broker} to {without_password(settings.db_url)}")
    began = time.monotonic()
    records = process.follow(settings, _say, once=once)
    _say(_summary(records, time.monotonic() - began))


@click.command("orderdb rebuild")
@click.option("--force", is_flag=True, help="Also if the database is the only place that has some orders.")
@told
@with_sql
def rebuild(force: bool) -> None:
    """Empty the order database and copy everything again, from the beginning of the topics.

    \b
    saga orderdb rebuild

    A `saga orderdb run` may run meanwhile: it begins again too. Until this ends, lists are not complete. Also for a
    database that is a copy of other topics. Refused if orders in it ended longer ago than SAGA_ORDER_RETENTION: their
    rows may be evicted from the topics. Copy the database first.
    """
    from saga_app.orderdb.copy import process

    settings = Settings.read()
    require(settings)
    began = time.monotonic()
    records = process.follow(settings, _say, once=True, empty=True, force=force)
    _say(_summary(records, time.monotonic() - began))


def _say(words: str) -> None:
    click.echo(f"orderdb: {printable(words)}")


def _summary(records: int, seconds: float) -> str:
    return f"{records:,} records copied in {seconds:.1f} s ({records / max(seconds, 0.001):,.0f} per second)"
