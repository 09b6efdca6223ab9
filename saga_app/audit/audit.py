"""The whole audit: limits, then every inbox, table and order, and what the topics have of what they must have."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import tables
from saga_app.audit import limits as cuts
from saga_app.audit.findings import Breach, Findings
from saga_app.audit.inbox import Inbox, service_of
from saga_app.audit.letters import read_letters
from saga_app.audit.limits import At
from saga_app.audit.matching import LETTER, SENT_ON, SLIP, Origin, Pair, pairs
from saga_app.audit.orders import JOURNALS, Orders
from saga_app.audit.scope import Scope
from saga_app.audit.shelves import FOLDED, Shelves
from saga_app.audit.tables import Table
from saga_app.core.rows import version_of
from saga_app.durable.ports import Place
from saga_app.settings import Settings

#: Milliseconds by which the clocks of several brokers may differ.
SKEW: Final = 1_000
#: How a kind of thing is counted, and of which invariant.
_KINDS: Final = {
    SLIP: ("I6", "requests and endings"),
    SENT_ON: ("I8", "records sent on"),
    LETTER: ("I8", "dead letters"),
}

Say = Callable[[str], None]


class Phase(NamedTuple):
    """Parts of an audit that need nothing of each other, only of earlier phases."""

    words: str
    check: Callable[[Scope, Any], Findings]
    parts: Sequence[Any]


def audit(
    settings: Settings,
    data_dirs: Sequence[Path] = (),
    at: At | None = None,
    jobs: int | None = None,
    say: Say = lambda words: None,
) -> Findings:
    """Checks everything, in so many processes (default: one for each core), with its files in a temporary folder.

    Of an earlier state only the inboxes can tell. Raises `KafkaException`, and `TimeoutError` where a broker says
    nothing for long.
    """
    with tempfile.TemporaryDirectory(prefix="saga-audit-") as folder:
        names = [table.name for table in tables.ALL]
        limits = cuts.take(settings, names) if at is None else cuts.take_at(settings, names, at)
        skew = 0 if len(settings.broker.split(",")) == 1 else SKEW
        scope = Scope(settings, limits, Path(folder), skew)
        every = range(settings.partitions)
        inboxes = Phase("inboxes", check_inbox, sorted(limits.end))
        written = [
            Phase("changelogs", partial(check_table, data_dirs=data_dirs), _tables(settings)),
            Phase("dead letters", read_letters, every),
        ]
        orders = Phase("orders", check_orders, every)
        findings = Findings()
        phases = [inboxes, *(written if at is None else ()), orders]
        for found in _run(scope, phases, jobs or os.cpu_count() or 1, say):
            findings.add(found)
        if at is None:
            say("what must be there, and what is")
            _match(scope, findings)
            _nothing_acknowledged_is_lost(limits, findings)
        return findings


def check_inbox(scope: Scope, place: Place) -> Findings:
    """Folds one inbox partition again."""
    with Shelves(scope.folder) as shelves:
        return Inbox(scope, place, shelves).read()


def check_table(scope: Scope, place: tuple[str, str, int], data_dirs: Sequence[Path]) -> Findings:
    """Compares one table in one partition: its inbox, its name, the partition."""
    with Shelves(scope.folder) as shelves:
        return Table(scope, *place, shelves).check(data_dirs)


def check_orders(scope: Scope, partition: int) -> Findings:
    """Looks at the orders of one partition of checkout in all services."""
    with Shelves(scope.folder, read_only=True) as shelves:
        return Orders(scope, partition, shelves).check()


def _run(scope: Scope, phases: Iterable[Phase], jobs: int, say: Say) -> Iterator[Findings]:
    """All parts of one phase before the next one."""
    with ExitStack() as stack:
        each: Callable[..., Iterable[Findings]] = map
        if jobs > 1:
            # A forked process would inherit librdkafka's and RocksDB's locks, but not their threads.
            pool = stack.enter_context(ProcessPoolExecutor(jobs, mp_context=get_context("spawn")))
            each = pool.map
        for words, check, parts in phases:
            say(words)
            yield from each(partial(check, scope), parts)


def _tables(settings: Settings) -> list[tuple[str, str, int]]:
    return [
        (topic, table, partition)
        for topic in JOURNALS
        for table in service_of(topic).tables
        for partition in range(settings.partitions)
    ]


def _match(scope: Scope, findings: Findings) -> None:
    """I6 and I8: nothing in the topics that was not decided, and nothing decided that is not in the topics."""
    if not scope.limits.are_whole:
        findings.claim_less("I6", "an inbox does not begin at its first record: nothing was matched")
        findings.claim_less("I8", "an inbox does not begin at its first record: nothing was matched")
        return
    with Shelves(scope.folder, read_only=True) as shelves:
        for invariant, name in _KINDS.values():
            findings.count(invariant, name, 0)
        for pair in pairs(scope.folder):
            invariant, name = _KINDS[pair.kind]
            if pair.wanted is None:
                _from_nowhere(pair, invariant, findings)
            elif pair.found is not None:
                findings.count(invariant, name)
            elif pair.wanted.offset >= scope.limits.committed[pair.wanted.place]:
                findings.count(invariant, f"{name} under way")
            elif pair.kind == SLIP and _is_superseded(pair.wanted, shelves):
                findings.count(invariant, f"{name} superseded")
            else:
                missing = pair.wanted
                what = f"its {missing.what} is not in the topics, though the offset is committed"
                findings.breach(Breach("I9", what, missing.place, missing.offset, missing.order))


def _from_nowhere(pair: Pair, invariant: str, findings: Findings) -> None:
    found = pair.found
    assert found is not None
    # Whoever marks a record of his own as sent on does no harm: it is decided like any other.
    if pair.kind != SENT_ON:
        what = f"this {found.what} follows from no record of an inbox"
        findings.breach(Breach(invariant, what, found.place, found.offset, found.order))


def _is_superseded(wanted: Origin, shelves: Shelves) -> bool:
    """After a crash only the outcome that the row has is sent again: what an earlier record asked for is not."""
    if wanted.order is None:
        return False
    row = shelves.shelf(FOLDED, (JOURNALS[wanted.topic], wanted.partition)).get(wanted.order.encode())
    return row is not None and version_of(row) > wanted.offset


def _nothing_acknowledged_is_lost(limits: cuts.Limits, findings: Findings) -> None:
    """I9: what the workers had taken is still there."""
    for place, offset in limits.committed.items():
        findings.count("I9", "committed", offset)
        findings.count("I9", "lag", max(0, limits.end[place] - offset))
        if offset > limits.end[place]:
            what = (
                f"offset {offset} is committed, but the topic ends at {limits.end[place]}: records were lost"
            )
            findings.breach(Breach("I9", what, place, offset))
