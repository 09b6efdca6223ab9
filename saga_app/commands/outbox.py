"""`saga outbox`: relays an outbox table of the shop's database to the inboxes."""

import click

from saga_app.commands.args import limit_option
from saga_app.commands.needs_database import needs_shop_database
from saga_app.commands.render.output import as_json, one_line_errors, show
from saga_app.operator_log import log_action
from saga_app.secret_values import without_password
from saga_app.settings import Settings
from saga_app.text import printable

#: As `saga_app.outbox.table` has it; that module needs packages that others do without.
_TABLE = "saga_outbox"


@click.command()
@click.option(
    "--db-url",
    metavar="URL",
    help="The shop's database: postgresql://USER:PASSWORD@HOST/NAME, or sqlite:///FILE to try it. "
    "[default: SAGA_OUTBOX_URL, or the file that SAGA_OUTBOX_URL_FILE names, so that no list of processes shows it]",
)
@click.option(
    "--table", metavar="NAME", default=_TABLE, show_default=True, help="The table, or SCHEMA.TABLE."
)
@click.option("--once", is_flag=True, help="Stop when nothing waits any more.")
@click.option("--create", is_flag=True, help="Make the table and its index if they are missing, and stop.")
@click.option(
    "--ddl",
    is_flag=True,
    help="Print the statements that make them, for PostgreSQL unless --db-url is SQLite.",
)
@click.option("--status", is_flag=True, help="Print how much waits, and the refused rows.")
@limit_option
@as_json
@one_line_errors
@needs_shop_database
def outbox(
    db_url: str | None,
    table: str,
    once: bool,
    create: bool,
    ddl: bool,
    status: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Send what the shop has written into its outbox table to the inboxes, until Ctrl-C or SIGTERM.

    \b
    saga outbox --ddl
    saga outbox --db-url postgresql://shop:...@db/shop --create
    saga outbox --db-url postgresql://shop:...@db/shop
    SAGA_OUTBOX_URL_FILE=/run/secrets/outbox saga outbox --status

    A row is deleted when the broker has its record, so one that is killed sends some records again: to the saga, twice
    is once. A row that no worker would take stays, with the reason in the column `refused`. Broker and database may be
    away for a while. A second process on the same PostgreSQL stands by until the first one is gone.
    """
    if sum((once, create, ddl, status)) > 1:
        raise click.UsageError("--once, --create, --ddl and --status exclude each other")
    settings = Settings.read()
    url = db_url or settings.outbox_url
    if ddl:
        _print_ddl(url, table)
        return
    if not url:
        raise click.UsageError("the shop's database is given with --db-url or SAGA_OUTBOX_URL")
    if status:
        _show_status(url, table, limit, as_json=as_json)
        return
    from saga_app.outbox import process

    if create:
        log_action(settings, "outbox create", database=without_password(url), table=table)
        process.create(url, table)
        _say(f"table {table} is there")
        return
    done = process.relay(settings, url, table, _say, once=once)
    _say(f"{done.relayed:,} relayed, {done.refused:,} refused")


def _print_ddl(url: str, table: str) -> None:
    from saga_app.outbox.table import statements

    for statement in statements(table, is_sqlite=url.startswith("sqlite")):
        click.echo(statement)


def _show_status(url: str, table: str, most: int, *, as_json: bool) -> None:
    from saga_app.outbox import process

    backlog, refused = process.look(url, table, most)
    show(
        backlog._asdict(),
        f"{backlog.waiting:,} rows wait, the oldest for {backlog.oldest:.1f} s; {backlog.refused:,} are refused",
        as_json=as_json,
    )
    for row in refused:
        behind = f"; {row.behind} later rows of the order wait" if row.behind else ""
        people = f"row {row.id}, order {row.order_id or '-'}: {row.reason}{behind}"
        show(row._asdict(), printable(people), as_json=as_json)


def _say(words: str) -> None:
    click.echo(f"outbox: {printable(words)}")
