"""`saga orderdb`: keeps the order database up to date."""

import time

import click

from saga_app.commands.needs_database import needs_database
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.orderdb_check import check
from saga_app.commands.program import SagaGroup
from saga_app.commands.render.output import one_line_errors
from saga_app.operator_log import log_action
from saga_app.secret_values import without_password
from saga_app.settings import Settings
from saga_app.text import printable


@click.group(cls=SagaGroup)
def orderdb() -> None:
    """Keep the order database up to date: a copy in SQL of what the topics hold.

    \b
    saga orderdb run                 copies until Ctrl-C
    saga orderdb rebuild             empties it and copies everything again
    saga orderdb check               compares it with the topics, row by row

    SAGA_DB_URL says where the database is.
    """


@orderdb.command()
@click.option("--once", is_flag=True, help="Stop when everything is copied that is there now.")
@one_line_errors
@needs_database
def run(once: bool) -> None:
    """Copy what happens into the order database, until Ctrl-C or SIGTERM.

    \b
    saga orderdb run
    saga orderdb run --once
    SAGA_DB_URL=postgresql://saga:...@db/saga saga orderdb run

    It goes on where it was stopped or killed: rows and offsets are written in one transaction. The broker or the
    database may be away for a while. A second process on the same database does no harm and has no use. Missing tables
    are made.
    """
    from saga_app.orderdb.copy import process

    settings = Settings.read()
    if once:
        require_topics(settings)
    _say(f"copying {settings.app_id!r} on {settings.broker} to {without_password(settings.db_url)}")
    began = time.monotonic()
    records = process.follow(settings, _say, once=once)
    _say(_summary(records, time.monotonic() - began))


@orderdb.command()
@click.option("--force", is_flag=True, help="Also if the database is the only place that has some orders.")
@one_line_errors
@needs_database
def rebuild(force: bool) -> None:
    """Empty the order database and copy everything again, from the beginning of the topics.

    \b
    saga orderdb rebuild

    It also repairs a database that is a copy of other topics. A `saga orderdb run` may run meanwhile: it begins again
    too. Until this command ends, lists are not complete. It refuses if orders in the database ended longer ago than
    SAGA_ORDER_RETENTION: their rows may have left the topics. Copy the database first, then use --force.
    """
    from saga_app.orderdb.copy import process

    settings = Settings.read()
    require_topics(settings)
    log_action(settings, "orderdb rebuild", database=without_password(settings.db_url), force=force)
    began = time.monotonic()
    records = process.follow(settings, _say, once=True, empty=True, force=force)
    _say(_summary(records, time.monotonic() - began))


def _say(words: str) -> None:
    click.echo(f"orderdb: {printable(words)}")


def _summary(records: int, seconds: float) -> str:
    return f"{records:,} records copied in {seconds:.1f} s ({records / max(seconds, 0.001):,.0f} per second)"


orderdb.add_command(check)
