"""The whole audit: it takes the limits, checks every inbox, table and order, then matches causes with consequences."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import tables
from saga_app import topics
from saga_app.audit import cuts
from saga_app.audit.checkpoints import checkpoint
from saga_app.audit.checkpoints.checkpoint import Checkpoint
from saga_app.audit.checks.consequences import match
from saga_app.audit.checks.orders import JOURNALS, OrdersAudit
from saga_app.audit.checks.outcomes import OutcomesAudit
from saga_app.audit.checks.tables import TableAudit
from saga_app.audit.context import AuditContext
from saga_app.audit.cuts import AsOf
from saga_app.audit.dead_letters import look_for_signatures, read_letters
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.audit.inbox import InboxAudit
from saga_app.audit.refold import service_of
from saga_app.audit.scratch import Stores
from saga_app.audit.truncated import take_tables
from saga_app.kafka.messages import Place
from saga_app.settings import Settings

#: Milliseconds by which the clocks of several brokers may differ.
SKEW: Final = 1_000

Progress = Callable[[str], None]


class Phase(NamedTuple):
    """Checks that can run at the same time; each needs only the results of earlier phases."""

    name: str
    check: Callable[[AuditContext, Any], Findings]
    parts: Sequence[Any]


def audit(
    settings: Settings,
    data_dirs: Sequence[Path] = (),
    at: AsOf | None = None,
    jobs: int | None = None,
    progress: Progress = lambda phase: None,
    base: Checkpoint | None = None,
    target: Path | None = None,
    acknowledged: Collection[str] = (),
) -> Findings:
    """Checks everything in `jobs` processes (default: by `Limits.processes`), with scratch files in a temporary folder.

    It goes on from the checkpoint `base`; without one it begins at the first record. If everything was checked and
    holds, it writes a checkpoint into the folder `target`; breaches with the ids in `acknowledged` do not count.
    An earlier state (`at`) is known from the inboxes alone.
    Raises `KafkaException`, `TimeoutError` if a broker does not answer for long, `CannotTell`, and `Refused`.
    """
    with tempfile.TemporaryDirectory(prefix="saga-audit-") as folder:
        names = [table.name for table in tables.ALL]
        unread = cuts.unread(settings, names)
        identity = cuts.identity(settings, names)
        known = {} if base is None else base.fitting(settings, identity, cuts.read_whole(settings, names))
        limits = cuts.take(settings, names, known) if at is None else cuts.take_at(settings, names, at, known)
        skew = 0 if len(settings.broker.split(",")) == 1 else SKEW
        context = AuditContext(settings, limits, Path(folder), skew, base and base.path, target)
        every = range(settings.partitions)
        inboxes = Phase("inboxes", check_inbox, sorted(limits.end))
        written = [
            Phase("changelogs", partial(check_table, data_dirs=data_dirs), _tables(settings)),
            Phase("dead letters", read_letters, every),
            Phase("outcomes", check_outcomes, every),
        ]
        jobs = limits.processes(jobs)
        # A process opens the stores of all services once, for all its partitions.
        orders = Phase("orders", check_orders, [every[number::jobs] for number in range(jobs)])
        findings = Findings()
        if at is not None:
            letters = {place: end for place, end in limits.found.items() if place[0] == topics.DEAD_LETTERS}
            look_for_signatures(settings, letters)
        phases = [inboxes, *(written if at is None else ()), orders]
        for found in _run(context, phases, jobs, progress):
            findings.add(found)
        if at is None:
            progress("consequences")
            match(context, findings)
            _nothing_acknowledged_is_lost(limits, findings)
            _nothing_known_is_lost(limits, findings)
        _no_partition_is_unread(unread, findings)
        findings.acknowledge(acknowledged)
        if target is not None and findings.holds and limits.are_whole:
            progress("the checkpoint")
            records = findings.figures["I8"]["records"]
            checkpoint.write(target, base, settings.app_id, identity, limits.reached, records)
        return findings


def check_inbox(context: AuditContext, place: Place) -> Findings:
    """Folds one inbox partition again; takes its tables as they are if its beginning is missing."""
    with Stores(context.folder) as stores:
        if not context.limits.is_whole(place):
            return take_tables(context, place, stores)
        return InboxAudit(context, place, stores).read()


def check_table(context: AuditContext, place: tuple[str, str, int], data_dirs: Sequence[Path]) -> Findings:
    """Compares one table in one partition: its inbox, its name, the partition."""
    with Stores(context.folder) as stores:
        return TableAudit(context, *place, stores).check(data_dirs)


def check_outcomes(context: AuditContext, partition: int) -> Findings:
    """Compares the outcomes of one checkout partition with its orders."""
    with Stores(context.folder) as stores:
        return OutcomesAudit(context, partition, stores).check()


def check_orders(context: AuditContext, partitions: Iterable[int]) -> Findings:
    """Checks the orders of these checkout partitions across all services."""
    findings = Findings()
    with Stores(context.folder, read_only=True) as stores:
        for partition in partitions:
            findings.add(OrdersAudit(context, partition, stores).check())
    return findings


def _run(context: AuditContext, phases: Iterable[Phase], jobs: int, progress: Progress) -> Iterator[Findings]:
    """Runs the phases one after the other, and the parts of each at the same time."""
    with ExitStack() as stack:
        each: Callable[..., Iterable[Findings]] = map
        if jobs > 1:
            # A forked process would inherit librdkafka's and RocksDB's locks, but not their threads.
            pool = stack.enter_context(ProcessPoolExecutor(jobs, mp_context=get_context("spawn")))
            each = pool.map
        for name, check, parts in phases:
            progress(name)
            for number, found in enumerate(each(partial(check, context), parts), 1):
                yield found
                progress(f"{name}, {number} of {len(parts)}")


def _tables(settings: Settings) -> list[tuple[str, str, int]]:
    return [
        (topic, table, partition)
        for topic in JOURNALS
        for table in service_of(topic).tables
        for partition in range(settings.partitions)
    ]


def _no_partition_is_unread(unread: Mapping[Place, int], findings: Findings) -> None:
    """I8: no record lies in a partition that was added to a topic."""
    for place, records in unread.items():
        if records:
            what = f"{records} records in a partition that was added, and that no worker reads"
            findings.breach(
                Breach("I8", f"{what}: docs/how-to/add-partitions.md", place, mending=Mending.MOVE)
            )
        else:
            findings.claim_less("I8", f"{place[0]}[{place[1]}] was added, and no worker will read it")


def _nothing_acknowledged_is_lost(limits: cuts.Limits, findings: Findings) -> None:
    """I9: no topic ends before a committed offset."""
    for place, offset in limits.committed.items():
        findings.count("I9", "committed", offset)
        findings.count("I9", "lag", max(0, limits.end[place] - offset))
        if offset > limits.end[place]:
            what = (
                f"offset {offset} is committed, but the topic ends at {limits.end[place]}: records were lost"
            )
            findings.breach(Breach("I9", what, place, offset, mending=_mending_of(place[0])))


def _nothing_known_is_lost(limits: cuts.Limits, findings: Findings) -> None:
    """I9: no topic ends before the offset that an earlier audit has read."""
    for place, offset in limits.known.items():
        if (end := limits.reached[place]) < offset:
            what = f"the checkpoint ends at offset {offset}, but the topic ends at {end}: records were lost"
            findings.breach(Breach("I9", what, place, end, mending=_mending_of(place[0])))


def _mending_of(topic: str) -> Mending:
    """The way to mend a topic that lost its end."""
    if topic in topics.INBOXES:
        return Mending.ADVANCE
    return Mending.REBUILD if topics.is_changelog(topic) else Mending.LETTER_AGAIN
