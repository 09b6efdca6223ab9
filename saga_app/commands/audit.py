"""`saga audit`: is anything lost, doubled or half done?"""

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from saga_app.audit.limits import At
from saga_app.audit.report import as_json as for_machines
from saga_app.audit.report import as_lines
from saga_app.commands.output import FAILED, as_json, show, told
from saga_app.commands.topics import require
from saga_app.letters.choice import moment
from saga_app.settings import Settings

_AT = (
    "The state of then: up to a time such as 2026-11-23T03:00 (UTC) or 30m, 12h, 7d ago, or below an offset in every "
    "inbox partition. Only the inboxes can tell of it."
)


def _at(context: click.Context, parameter: click.Parameter, text: str | None) -> At | None:
    if text is None:
        return None
    if text.isdigit():
        return At(offset=int(text))
    try:
        return At(time=moment(text, datetime.now(UTC)))
    except ValueError as error:
        raise click.BadParameter(f"{error}, or an offset") from None


@click.command()
@click.option(
    "--data-dir",
    "data_dirs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also compare with the tables of a stopped worker: its SAGA_DATA_DIR. May be given several times.",
)
@click.option("--at", metavar="OFFSET|TIME", callback=_at, help=_AT)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes (default: one for each core).")
@as_json
@told
def audit(data_dirs: tuple[Path, ...], at: At | None, jobs: int | None, as_json: bool) -> None:
    """Check the topics from their beginning: is anything lost, doubled or half done?

    \b
    saga audit
    saga audit --data-dir .run/data-1        compare with a stopped worker's tables too
    saga audit --at 2026-11-23T03:00         the state then, as the inboxes give it
    saga audit --json | jq 'select(.holds | not)'

    Every inbox is folded again with the rules alone, and compared with everything that the workers wrote. Workers may
    go on meanwhile: what is under way is counted, and not held against anybody. Exit code 1 if anything is broken;
    each breach names its order, topic, partition, offset and field.
    """
    # Only here: it loads the agents, and Faust with them.
    from saga_app.audit import audit as auditing

    settings = Settings.read()
    require(settings)
    began = time.monotonic()
    findings = auditing.audit(settings, data_dirs, at, jobs, lambda words: _tell(words, as_json))
    if as_json:
        for line in for_machines(findings):
            show(line, "", as_json=True)
    else:
        for words in as_lines(findings):
            click.echo(words)
    seconds = time.monotonic() - began
    records = findings.figures["I8"]["records"]
    if not as_json:
        verdict = "everything holds" if findings.holds else f"{sum(findings.broken.values())} breaches"
        click.echo(
            f"audit: {verdict}; {records:,} records in {seconds:.1f} s ({records / seconds:,.0f} per second)"
        )
    if not findings.holds:
        raise SystemExit(FAILED)


def _tell(words: str, as_json: bool) -> None:
    if not as_json and click.get_text_stream("stderr").isatty():
        click.echo(f"audit: {words} ...", err=True)
