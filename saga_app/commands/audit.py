"""`saga audit`: is anything lost, doubled or half done?"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from saga_app.audit import report
from saga_app.audit.acknowledged import NAME, Acknowledgements, NotAcknowledged
from saga_app.audit.checkpoints.checkpoint import Checkpoint, Refused
from saga_app.audit.checkpoints.folder import FolderLocked, NewCheckpoint, latest
from saga_app.audit.cuts import AsOf, CannotTell
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.commands.args import jobs_option
from saga_app.commands.needs_topics import require_topics
from saga_app.commands.render.output import FAILED, CommandFailed, as_json, one_line_errors, show
from saga_app.commands.render.progress import progress_of
from saga_app.core.numbers import Offset
from saga_app.effects.ledgers import LEAD, LedgerNotTold, compared
from saga_app.operator_log import actor, log_action
from saga_app.settings import Settings
from saga_app.times import moment, now, written

_AT = (
    "Check an earlier state: up to a time such as 2026-11-23T03:00 (UTC) or 30m, 12h, 7d ago, or below an offset in "
    "every inbox partition. Only the inboxes are read for it."
)

_CHECKPOINT = (
    "Go on from the checkpoint in this folder, if there is one, and write the next one if all holds. Records before a "
    "checkpoint may leave the inboxes (SAGA_INBOX_RETENTION)."
)


def _at(context: click.Context, parameter: click.Parameter, text: str | None) -> AsOf | None:
    if text is None:
        return None
    if text.isdigit():
        return AsOf(offset=Offset(int(text)))
    try:
        return AsOf(time=moment(text, now()))
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
@click.option(
    "--checkpoint",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help=_CHECKPOINT,
)
@click.option(
    "--provider",
    "providers",
    metavar="NAME",
    multiple=True,
    help="Also compare with this provider's own ledger, as `saga reconcile` does. May be given several times.",
)
@click.option(
    "--acknowledged",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The file of acknowledged breaches (default: {NAME} in the folder of --checkpoint).",
)
@click.option(
    "--acknowledge", "ids", metavar="ID", multiple=True, help="Acknowledge this breach; needs --why."
)
@click.option("--why", metavar="TEXT", help="Why the breach is accepted; every later report says it.")
@jobs_option
@as_json
@one_line_errors
def audit(
    data_dirs: tuple[Path, ...],
    at: AsOf | None,
    folder: Path | None,
    providers: tuple[str, ...],
    file: Path | None,
    ids: tuple[str, ...],
    why: str | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Check the topics from their beginning: is anything lost, doubled or half done?

    \b
    saga audit
    saga audit --checkpoint audits           go on where the last audit ended
    saga audit --data-dir .run/data-1        compare with a stopped worker's tables too
    saga audit --provider stripe             compare with the provider's ledger too
    saga audit --at 2026-11-23T03:00         the state then, from the inboxes alone
    saga audit --json | jq 'select(.holds == false)'
    saga audit --checkpoint audits --acknowledge 3f9a1c2e7b04 --why "a test of ours, undone by hand"

    It folds every inbox again with the rules alone, and compares the result with everything that the workers wrote.
    Workers may go on meanwhile: records under way are counted, and are no breach. Exit code 1 if anything is broken;
    each breach names its order, topic, partition, offset and field, and has an id. One that you acknowledge is in every
    later report, with who and why, and counts no more.
    """
    settings = Settings.read()
    file = file or (folder and folder / NAME)
    if ids and (not (why or "").strip() or file is None):
        raise click.UsageError(
            "--acknowledge needs --why, and --acknowledged FILE or --checkpoint DIR to keep it"
        )
    if providers and at is not None:
        raise click.UsageError("a provider tells its ledger as it is now: --provider does not go with --at")
    require_topics(settings)
    with audit_errors(), nullcontext() if folder is None else NewCheckpoint(folder) as draft:
        base = None if folder is None else latest(folder)
        if base is not None:
            show(base_as_json(base), base_in_words(base), as_json=as_json)
        to = None if draft is None or at is not None else draft.path
        known = Acknowledgements.read(file)
        asked = AskedFor(ids, actor(settings), (why or "").strip())
        findings = _audited(
            settings, base, jobs, as_json, known, asked, providers, data_dirs=data_dirs, at=at, target=to
        )
        known.write()
        for each in ids:
            log_action(settings, "acknowledge a breach", breach=each, why=asked.why)
        if not findings.holds:
            raise SystemExit(FAILED)
        if draft is not None and at is None:
            _publish(draft, as_json)


class AskedFor(NamedTuple):
    """The breaches to acknowledge, by their ids; who accepts them, and why."""

    ids: tuple[str, ...] = ()
    by: str = ""
    why: str = ""


@contextmanager
def audit_errors() -> Iterator[None]:
    """Turns the errors of a checkpoint into `CommandFailed`."""
    try:
        yield
    except (CannotTell, Refused, FolderLocked, NotAcknowledged) as error:
        raise CommandFailed(str(error)) from error
    except (TimeoutError, BrokenPipeError):
        # They are `OSError`s too, and tell of the broker and of our output, and not of a file.
        raise
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}; no checkpoint was written") from error


def base_in_words(base: Checkpoint) -> str:
    """The checkpoint that the audit goes on from, for people."""
    mine = base.manifest
    chain = (
        "from the first record"
        if mine.audits == 1
        else f"from an earlier checkpoint; the first of {mine.audits} audits in a row was on {written(mine.begun)}"
    )
    return f"from checkpoint of {written(mine.written)} ({mine.records:,} records), itself checked {chain}"


def base_as_json(base: Checkpoint) -> dict[str, object]:
    """The checkpoint that the audit goes on from, for machines; times in milliseconds."""
    return {
        "from_checkpoint": str(base.path),
        **base.manifest.model_dump(include={"written", "audits", "begun"}),
    }


def report_of(settings: Settings, base: Checkpoint | None, jobs: int | None, as_json: bool) -> bool:
    """Runs an audit, as a command that changes much does at its end; prints its report. True if all holds."""
    with audit_errors():
        return _audited(settings, base, jobs, as_json, Acknowledgements(), AskedFor()).holds


def findings_of(
    settings: Settings, base: Checkpoint | None, jobs: int | None, as_json: bool, **more: Any
) -> Findings:
    """The findings of an audit; `more` are its other arguments."""
    # Imported here, because it loads the agents.
    from saga_app.audit import audit as auditing

    with audit_errors():
        return auditing.audit(
            settings, jobs=jobs, progress=progress_of("audit", as_json=as_json), base=base, **more
        )


def _audited(
    settings: Settings,
    base: Checkpoint | None,
    jobs: int | None,
    as_json: bool,
    known: Acknowledgements,
    asked: AskedFor,
    providers: Sequence[str] = (),
    **more: Any,
) -> Findings:
    """Audits, acknowledges what is asked for, and reports; `more` are other arguments of the audit."""
    began = time.monotonic()
    ids = known.ids | set(asked.ids)
    findings = findings_of(settings, base, jobs, as_json, acknowledged=ids, **more)
    for name in providers:
        _compare_ledger(settings, name, findings)
    findings.acknowledge(ids)
    known.add(findings, asked.ids, asked.by, asked.why, now())
    before = 0 if base is None else base.manifest.records
    _report(findings, known, findings.figures["I8"]["records"] - before, time.monotonic() - began, as_json)
    return findings


def _compare_ledger(settings: Settings, name: str, findings: Findings) -> None:
    """I13 by the provider's own ledger, as far back as rows are kept. Raises `CommandFailed`, `SettingsError`."""
    kept = settings.order_retention
    begin = (
        datetime.fromtimestamp(0, UTC) + LEAD
        if kept is None
        else datetime.now(UTC) - timedelta(milliseconds=kept)
    )
    try:
        differ = compared(settings, name, begin)
    except LedgerNotTold as error:
        raise CommandFailed(str(error)) from error
    findings.count("I13", f"ledger of {name}", 1)
    for each, step in differ.items():
        what = f"{each.kind}: {name} says {each.provider} of its {step}; the journal says {each.journal}"
        order, reference = each.order_id, each.reference or None
        findings.breach(Breach("I13", what, order=order, field=reference, mending=Mending.IN_DOUBT))


def _report(findings: Findings, known: Acknowledgements, records: int, seconds: float, as_json: bool) -> None:
    if as_json:
        for line in report.as_json(findings, known):
            show(line, "", as_json=True)
        return
    for words in report.as_lines(findings, known):
        click.echo(words)
    well = "everything holds" if findings.is_whole else "what was checked holds, and not everything was"
    if findings.acknowledged:
        well = f"{len(findings.acknowledged)} acknowledged breaches, and else {well}"
    verdict = well if findings.holds else f"{sum(findings.broken.values())} breaches"
    click.echo(
        f"audit: {verdict}; {records:,} records in {seconds:.1f} s ({records / seconds:,.0f} per second)"
    )


def _publish(draft: NewCheckpoint, as_json: bool) -> None:
    if not draft.is_whole:
        raise CommandFailed("no checkpoint was written: parts could not be checked, see the lines above")
    path = draft.publish()
    show({"checkpoint": str(path)}, f"checkpoint: {path}", as_json=as_json)
