"""`saga rebuild`: makes the changelogs anew from the inboxes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saga_app.audit.checkpoints.checkpoint import Refused
from saga_app.audit.checkpoints.folder import latest
from saga_app.commands.args import jobs_option
from saga_app.commands.audit import report_of
from saga_app.commands.render.output import (
    FAILED,
    CommandFailed,
    as_json,
    must_want_it,
    one_line_errors,
    show,
)
from saga_app.commands.render.progress import progress_of
from saga_app.kafka.reachable import require_broker
from saga_app.operator_log import log_action
from saga_app.settings import Settings

if TYPE_CHECKING:
    from saga_app.rebuild.compare import Losses


@click.command()
@click.option("--from-inboxes", is_flag=True, help="The source: the records that every row follows from.")
@click.option(
    "--checkpoint",
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Begin with the last checkpoint of `saga audit --checkpoint DIR`, where the inboxes were cut.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what is lost and what would be written.")
@click.option("--yes", is_flag=True, help="Do not ask before the changelogs are deleted.")
@jobs_option
@as_json
@one_line_errors
def rebuild(
    from_inboxes: bool, folder: Path | None, dry_run: bool, yes: bool, jobs: int | None, as_json: bool
) -> None:
    """Make the changelogs, and with them all tables, anew from the inboxes; stop all workers before.

    \b
    saga rebuild --from-inboxes --dry-run            what is lost?
    saga rebuild --from-inboxes
    saga rebuild --from-inboxes --checkpoint audits  where the inboxes were cut

    For a changelog that was deleted or lost its end (exit code 83). It decides every inbox again, up to the committed
    offsets, tells how the changelogs differ, deletes them and writes them anew. An audit follows; exit code 1 if it
    does not hold. It refuses, and changes nothing, if workers run, or if the inboxes lost records. It may be killed:
    workers do not start until it has run again. docs/how-to/recover.md says when to use it.
    """
    # Imported here, because it loads the agents and Faust with them.
    from saga_app.rebuild import rebuild as rebuilding
    from saga_app.rebuild.survey import CannotRebuild

    if not from_inboxes:
        raise click.UsageError("from what? The only source is --from-inboxes")
    settings = Settings.read()
    require_broker(settings)
    progress = progress_of("rebuild", as_json=as_json)
    try:
        base = None if folder is None else latest(folder)
        with rebuilding.planned(settings, base, jobs, progress) as plan:
            for each in plan.losses:
                show(each._asdict(), _in_words(each), as_json=as_json)
            folded = {"records": plan.records, "gaps": plan.gaps}
            show(
                folded,
                f"rebuild: {plan.records:,} records folded, {plan.gaps:,} offsets without one",
                as_json=as_json,
            )
            if dry_run:
                return
            must_want_it(yes, "Delete the changelogs and write them anew?")
            log_action(settings, "rebuild", broker=settings.broker, app_id=settings.app_id)
            began = time.monotonic()
            rows = rebuilding.carry_out(plan, progress)
            seconds = time.monotonic() - began
            show({"written": rows}, f"rebuild: {rows:,} rows written in {seconds:.1f} s", as_json=as_json)
    except (CannotRebuild, Refused) as error:
        raise CommandFailed(str(error)) from error
    if not report_of(settings, base, jobs, as_json):
        raise SystemExit(FAILED)


def _in_words(losses: "Losses") -> str:
    return (
        f"{losses.table:<12} {losses.rows:>9,} rows; the changelog lacks {losses.lost:,}, has {losses.wrong:,} that do "
        f"not follow from the inbox, and {losses.later:,} that will be decided again"
    )
