"""`saga orderdb check`: is the order database what the topics say?"""

import click

from saga_app.commands.needs_database import needs_database
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.render.output import FAILED, CommandFailed, as_json, one_line_errors, show
from saga_app.settings import Settings
from saga_app.text import printable


@click.command()
@as_json
@one_line_errors
@needs_database
def check(as_json: bool) -> None:
    """Compare the order database with the topics, row by row.

    \b
    saga orderdb check
    saga orderdb check --json | jq 'select(.differences > 0)'

    Reads the changelogs of all tables, and compares each row with the row of the database. One line a table: rows
    compared, rows that the copy has not reached yet, differences. `saga orderdb run` and workers may run meanwhile.
    Exit code 1 if there is a difference; `saga orderdb rebuild` repairs the database.
    """
    from saga_app.orderdb.check import check as compare

    settings = Settings.read()
    require_topics(settings)
    try:
        tables = compare(settings)
    except TimeoutError as error:
        raise CommandFailed(str(error)) from error
    for each in tables:
        show(each.as_json(), "\n".join(map(printable, each.as_lines())), as_json=as_json)
    if any(each.differences for each in tables):
        raise SystemExit(FAILED)
