"""The whole rebuild: survey, fold, compare; when that is allowed, it keeps workers out, writes, and lets them in."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

from saga_app.audit.checkpoints.checkpoint import Checkpoint
from saga_app.audit.context import AuditContext
from saga_app.audit.refold import service_of
from saga_app.audit.scratch import Stores
from saga_app.engine.commit_note import REBUILDING
from saga_app.rebuild.compare import Losses, TablePart, add_up, compare
from saga_app.rebuild.fold import Folded, fold
from saga_app.rebuild.notes import keep_out, release
from saga_app.rebuild.survey import CannotRebuild, Survey, no_worker_runs, survey
from saga_app.rebuild.write import Progress, RowWriter, make_anew
from saga_app.settings import Settings

Part = TypeVar("Part")
Result = TypeVar("Result")


class Plan(NamedTuple):
    """The folded tables, in scratch files, and what is known of the changelogs that they replace."""

    context: AuditContext
    survey: Survey
    folded: list[Folded]
    losses: list[Losses]

    @property
    def records(self) -> int:
        """The records that were folded."""
        return sum(each.records for each in self.folded)

    @property
    def gaps(self) -> int:
        """Offsets without a record, which transactions leave and compaction does."""
        return sum(gap.end - gap.start for each in self.folded for gap in each.gaps)


@contextmanager
def planned(
    settings: Settings, base: Checkpoint | None, jobs: int | None, progress: Progress
) -> Iterator[Plan]:
    """Surveys, folds and compares; changes nothing. Scratch files are removed at the end.

    Raises `CannotRebuild`, `Refused` for a checkpoint of other topics, `KafkaException` and `TimeoutError`.
    """
    found = survey(settings, base)
    with tempfile.TemporaryDirectory(prefix="saga-rebuild-") as folder:
        context = AuditContext(settings, found.limits, Path(folder), base=base and base.path)
        progress("folding the inboxes up to the committed offsets")
        number = found.limits.processes(jobs)
        places = sorted(found.limits.committed)
        folded = []
        for part in _each(partial(fold, context), places, number):
            folded.append(part)
            progress(f"folding the inboxes, {len(folded)} of {len(places)} partitions")
        for part in folded:
            if part.missing:
                topic, partition = part.place
                raise CannotRebuild(
                    f"{topic}[{partition}]: {part.missing.number} records from offset {part.missing.first} on are "
                    "gone: they were compacted away, and only a copy of the topic has what followed from them"
                )
        progress("comparing with the changelogs that are there")
        parts = [
            TablePart(table, each.place, each.gaps)
            for each in folded
            for table in service_of(each.place[0]).tables
        ]
        losses = add_up(_each(partial(compare, context), parts, number))
        for each in losses:
            if each.unexplained:
                raise CannotRebuild(
                    f"{each.unexplained}: the inbox lost records, and a rebuild would undo what followed from them; "
                    "see docs/how-to/recover.md"
                )
        yield Plan(context, found, folded, losses)


def carry_out(plan: Plan, progress: Progress) -> int:
    """Makes the changelogs anew; the number of records written. It may be cut off anywhere, and run again.

    Raises `CannotRebuild`, `KafkaException` and `TopicsWrong`.
    """
    settings, committed = plan.context.settings, plan.survey.limits.committed
    no_worker_runs(settings)
    keep_out(settings, {place: (at, REBUILDING) for place, at in committed.items()})
    progress("making the changelogs anew")
    make_anew(settings, plan.survey)
    writer = RowWriter(settings, progress)
    with Stores(plan.context.folder, read_only=True) as stores:
        for each in plan.folded:
            journal, *balances = service_of(each.place[0]).tables
            writer.write(stores, journal, each.place[1], marked=True)
            for table in balances:
                writer.write(stores, table, each.place[1], marked=False)
    writer.finish()
    release(settings, committed)
    return writer.rows


def _each(check: Callable[[Part], Result], parts: Iterable[Part], number: int) -> Iterator[Result]:
    """Runs the parts in so many processes."""
    if number == 1:
        yield from map(check, parts)
        return
    # A forked process would inherit librdkafka's and RocksDB's locks, but not their threads.
    with ProcessPoolExecutor(number, mp_context=get_context("spawn")) as pool:
        yield from pool.map(check, parts)
