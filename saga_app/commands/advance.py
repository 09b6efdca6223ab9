"""`saga advance`: goes on behind the records that an inbox has lost."""

import click

from saga_app import topics
from saga_app.commands.audit import report_of
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.render.output import (
    FAILED,
    CommandFailed,
    as_json,
    must_want_it,
    one_line_errors,
    show,
)
from saga_app.operator_log import log_action
from saga_app.settings import Settings


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell which inboxes lost records.")
@click.option("--yes", is_flag=True, help="Do not ask before records are deleted.")
@click.option(
    "--inbox",
    "inboxes",
    multiple=True,
    type=click.Choice(topics.INBOXES),
    help="This inbox was made again: needed where no committed offset tells.",
)
@as_json
@one_line_errors
def advance(dry_run: bool, yes: bool, inboxes: tuple[str, ...], as_json: bool) -> None:
    """Go on behind the records that an inbox has lost: its end, or all of them; stop all workers before.

    \b
    saga advance --dry-run           which inboxes lost the records of their rows?
    saga advance

    For an inbox that was deleted and made again, or that lost its last records. Everything that was decided stays. The
    inbox is moved behind the offsets of its rows, with the records that came since; what is before them is deleted,
    and later audits claim less for it. Producers may go on. It may be killed: workers do not start until it has run
    again. An audit follows; exit code 1 if it does not hold. docs/how-to/recover.md says when to use it, and what to
    send again.
    """
    # Imported here, because it loads the agents and Faust with them.
    from saga_app.rebuild import advance as advancing
    from saga_app.rebuild.survey import CannotRebuild

    settings = Settings.read()
    require_topics(settings)
    try:
        found = advancing.losses(settings, inboxes)
        for each in found:
            topic, partition = each.place
            machine = {"topic": topic, "partition": partition, "end": each.end, "target": each.target}
            show(machine, f"advance: {each}", as_json=as_json)
        if not found:
            show({"written_again": 0}, "advance: each inbox has the records of its rows", as_json=as_json)
        if dry_run or not found:
            return
        must_want_it(yes, "Delete what these inboxes still have, and go on behind their rows?")
        log_action(settings, "advance", broker=settings.broker, inboxes=[str(each) for each in found])
        again = advancing.advance(settings, found)
        show({"written_again": again}, f"advance: {again:,} records written again", as_json=as_json)
    except CannotRebuild as error:
        raise CommandFailed(str(error)) from error
    if not report_of(settings, None, None, as_json):
        raise SystemExit(FAILED)
