"""`saga repair`: proposes what mends the breaches of an audit."""

from pathlib import Path
from typing import Final

import click

from saga_app.audit.acknowledged import NAME, Acknowledgements
from saga_app.audit.checkpoints.folder import latest
from saga_app.audit.mending import Proposal, proposals
from saga_app.commands.args import jobs_option
from saga_app.commands.audit import audit_errors, findings_of
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.render.output import FAILED, as_json, one_line_errors, show
from saga_app.settings import Settings
from saga_app.text import printable

#: Breaches of one proposal that are shown.
MOST_SHOWN: Final = 5


@click.command()
@click.option(
    "--checkpoint",
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Go on from the checkpoint in this folder, and leave out what is acknowledged there.",
)
@jobs_option
@as_json
@one_line_errors
def repair(folder: Path | None, jobs: int | None, as_json: bool) -> None:
    """Propose what mends the breaches that an audit finds; it changes nothing.

    \b
    saga repair
    saga repair --checkpoint audits
    saga repair --json | jq -r '.commands[]'

    It audits as `saga audit` does, and tells for each kind of breach why it is there and which commands mend it. Read
    before you run them: some want all workers stopped, and what nobody can undo needs a person. Exit code 1 if there is
    a breach. docs/how-to/mend-a-breach.md explains each.
    """
    settings = Settings.read()
    require_topics(settings)
    with audit_errors():
        base = None if folder is None else latest(folder)
        known = Acknowledgements.read(folder and folder / NAME)
    findings = findings_of(settings, base, jobs, as_json, acknowledged=known.ids)
    for proposal in proposals(findings.breaches):
        show(proposal.as_json(), printable_lines(proposal), as_json=as_json)
    kept, broken = len(findings.breaches), sum(findings.broken.values())
    if not as_json:
        more = f", and {broken - kept:,} more that an audit only counts" if broken > kept else ""
        click.echo(f"repair: {kept} breaches{more}" if broken else "repair: there is nothing to mend")
    if broken:
        raise SystemExit(FAILED)


def printable_lines(proposal: Proposal) -> str:
    """A proposal for people: the reason, the commands, and the first breaches."""
    found = proposal.breaches
    lines = [f"{proposal.what}."]
    lines += [f"    {command}" for command in proposal.commands]
    lines += [printable(f"  for {each.invariant} {each} [{each.id}]") for each in found[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        lines.append(f"  and {len(found) - MOST_SHOWN} more")
    return "\n".join(lines)
