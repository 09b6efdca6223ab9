"""The world of a round in memory: a broker of lists, a disk of dicts, and a worker that can be stopped anywhere.

A worker is stopped by an exception at the Nth of its steps: a point of the round, an append to a log, a write to a
store, an acknowledgement. An append that is stopped keeps a prefix of what it had for each partition, as Kafka does.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from saga_app import topics, wire
from saga_app.core.decider import Decider
from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.core.records import Record
from saga_app.core.rows import is_tombstone
from saga_app.engine.durability import Point
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import row_in
from saga_app.engine.round import Round
from saga_app.engine.stores import restore
from saga_app.engine.stores.changelog import Logged
from saga_app.kafka.messages import Batch, Message, Offsets, Outgoing
from tests.support.given import BEGINNING, SECOND

Place = tuple[str, int]


class Stopped(Exception):
    """The worker was killed."""


T = TypeVar("T")


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a port in memory waited")


class Stop(NamedTuple):
    """Where a worker is stopped: the first, second, third time that it takes a step of this name."""

    step: str
    time: int = 1


#: Every step of a worker: of its restore, and in the sequence of a round.
STEPS = (
    "restore: ends",
    "restore: write",
    "decided",
    "journal: send",
    "journal: sent",
    "journalled",
    "publisher: send",
    "publisher: sent",
    "published",
    "store: write",
    "applied",
    "inbox: done",
    "acknowledged",
)


class Steps:
    """Counts a worker's steps, and stops it at one."""

    def __init__(self, stop: Stop | None = None) -> None:
        self.stop = stop
        self.taken: Counter[str] = Counter()

    def take(self, name: str) -> None:
        if self.stops_at(name):
            raise Stopped(name)
        self.taken[name] += 1

    def stops_at(self, name: str) -> bool:
        """True if the worker would stop at this step now."""
        return self.stop is not None and self.stop == (name, self.taken[name] + 1)


def is_row(record: Outgoing) -> bool:
    """True if it is for a changelog."""
    return record.topic.endswith("-changelog")


class MemoryBroker:
    """Topics as lists; what a list holds at index n is at offset n."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = partitions
        self.logs: defaultdict[Place, list[Outgoing]] = defaultdict(list)
        #: All records that are no rows, of all topics, in the sequence in which they were written.
        self.sent: list[Outgoing] = []
        #: Offsets whose records compaction removed.
        self.compacted: defaultdict[Place, set[int]] = defaultdict(set)

    def copy(self) -> "MemoryBroker":
        """A copy of the logs, which later writes do not touch."""
        twin = MemoryBroker(self.partitions)
        twin.logs.update({place: list(log) for place, log in self.logs.items()})
        twin.compacted.update({place: set(offsets) for place, offsets in self.compacted.items()})
        return twin

    def compact(self, place: Place, below: int | None = None) -> int:
        """Of the rows below an offset only the one of each key that was written last stays, and no tombstone.

        How many went.
        """
        log, compacted = self.logs[place], self.compacted[place]
        last = {row.key: offset for offset, row in enumerate(log[:below]) if offset not in compacted}
        stay = {offset for offset in last.values() if log[offset].value is not None}
        removed = set(range(len(log[:below]))) - stay - compacted
        compacted |= removed
        return len(removed)

    def place(self, record: Outgoing) -> Place:
        if record.partition is not None:
            return record.topic, record.partition
        key = "" if record.key is None else record.key.decode()
        return record.topic, topics.partition_of(key, self.partitions)

    def append(self, record: Outgoing) -> Offset:
        log = self.logs[self.place(record)]
        log.append(record)
        if not is_row(record):
            self.sent.append(record)
        return Offset(len(log) - 1)

    def append_all(self, records: Iterable[Outgoing]) -> Offsets:
        """Appends the records; where those are that name their partition."""
        written: defaultdict[Place, list[Offset]] = defaultdict(list)
        for record in records:
            offset = self.append(record)
            if record.partition is not None:
                written[self.place(record)].append(offset)
        return written

    def topic(self, name: str) -> list[Outgoing]:
        """Everything in a topic, partition by partition."""
        return [record for (topic, _), log in sorted(self.logs.items()) if topic == name for record in log]


class MemoryLog:
    """The log port. An append is two steps: before its records are written, and before that is known."""

    def __init__(
        self, name: str, broker: MemoryBroker, steps: Steps, keep: Mapping[str, int] | int = 0
    ) -> None:
        self.name = name
        self.broker = broker
        self.steps = steps
        #: How many records of an append that is stopped are written, per topic or for each.
        self.keep = keep
        #: What a stopped append left unwritten: a cut network may still deliver it.
        self.late: list[Outgoing] = []

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        if self.steps.stops_at(f"{self.name}: send"):
            self._append_some(records)
        self.steps.take(f"{self.name}: send")
        written = self.broker.append_all(records)
        self.steps.take(f"{self.name}: sent")
        return written

    def _append_some(self, records: Sequence[Outgoing]) -> None:
        written: defaultdict[Place, int] = defaultdict(int)
        for record in records:
            place = self.broker.place(record)
            most = self.keep if isinstance(self.keep, int) else self.keep.get(record.topic, 0)
            if written[place] < most:
                written[place] += 1
                self.broker.append(record)
            else:
                self.late.append(record)


@dataclass
class Disk:
    """The disk of one store: each state that it was in, the latest at the end."""

    states: list[tuple[dict[bytes, bytes], Offset, Offset | None]] = field(
        default_factory=lambda: [({}, FIRST, None)]
    )

    def lose(self, writes: int) -> None:
        """A machine that lost power may lose the writes at the end."""
        del self.states[max(1, len(self.states) - writes) :]


class MemoryStore:
    """The store port over a disk."""

    def __init__(self, disk: Disk | None = None, steps: Steps | None = None) -> None:
        self.disk = disk or Disk()
        self.steps = steps
        self.step = "restore: write"

    @property
    def rows(self) -> dict[bytes, bytes]:
        return self.disk.states[-1][0]

    @property
    def reached(self) -> Offset:
        return self.disk.states[-1][1]

    @property
    def inbox(self) -> Offset | None:
        return self.disk.states[-1][2]

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.rows):
            if key.startswith(prefix):
                yield key, self.rows[key]

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        if self.steps is not None:
            self.steps.take(self.step)
        known = self.inbox if inbox is None else inbox
        after = {key: row for key, row in {**self.rows, **rows}.items() if not is_tombstone(row)}
        self.disk.states.append((after, reached, known))


class MemoryInbox:
    """The inbox port: remembers the durable offset, and every position that could have been committed."""

    def __init__(self, steps: Steps, positions: Mapping[int, Offset]) -> None:
        self.steps = steps
        self.positions = dict(positions)
        self.history = [dict(positions)]
        self.generation = Generation(1)

    def is_current(self, generation: Generation) -> bool:
        return generation == self.generation

    def done(self, partition: int, start: Offset, end: Offset, generation: Generation) -> None:
        self.steps.take("inbox: done")
        assert self.positions[partition] == start, "the round skips or repeats part of its inbox"
        self.positions[partition] = end
        self.history.append(dict(self.positions))


class MemoryChangelog:
    """A changelog partition, to be restored from; chunks are small, so that their seams are tested too."""

    def __init__(self, broker: MemoryBroker, topic: str, partition: int, chunk: int = 2) -> None:
        self.broker = broker
        self.topic = topic
        self.partition = partition
        self.chunk = chunk

    @property
    def rows(self) -> list[Outgoing]:
        return self.broker.logs[self.topic, self.partition]

    def end(self) -> Offset:
        return Offset(len(self.rows))

    def read(self, start: Offset, end: Offset) -> Iterator[Sequence[Logged]]:
        rows, compacted = self.rows, self.broker.compacted.get((self.topic, self.partition), ())
        held = [offset for offset in map(Offset, range(start, end)) if offset not in compacted]
        for first in range(0, len(held), self.chunk):
            found = [(offset, rows[offset]) for offset in held[first : first + self.chunk]]
            yield [Logged(offset, row.key or b"", row_in(row.value, row.headers)) for offset, row in found]


class MemoryTables(NamedTuple):
    """The rows of a worker, as bytes."""

    journal: dict[bytes, bytes]
    balances: dict[bytes, bytes]


def message(record: Record | bytes | None, offset: int, **fields: Any) -> Message:
    """A record as it stands in an inbox, a second after the one before."""
    value = record if isinstance(record, bytes | None) else wire.encode(record)
    return Message(Offset(offset), BEGINNING + offset * SECOND, fields.pop("key", b"k"), value, **fields)


def batch(
    messages: Sequence[Message], partition: int = 0, generation: int = 1, end: int | None = None
) -> Batch:
    """Messages that follow each other, as one fetch brings them."""
    after = messages[-1].offset + 1 if messages else 0
    start = messages[0].offset if messages else FIRST
    return Batch(partition, start, Offset(after if end is None else end), Generation(generation), messages)


async def run(rounds: Round, batches: Sequence[Batch]) -> None:
    """Decides and forwards batches, as an agent does."""
    for decided in rounds.decide(batches):
        await rounds.forward(decided)


class MemoryWorker:
    """One agent's worker over one partition of its inbox: it restores, and then decides in rounds."""

    def __init__(
        self,
        broker: MemoryBroker,
        topic: str,
        decider: Decider,
        disks: Mapping[str, Disk] | None = None,
        *,
        partition: int = 0,
        committed: int = 0,
        steps: Steps | None = None,
        keep: Mapping[str, int] | int = 0,
        between: Callable[[], None] = lambda: None,
        ends_first: bool = True,
    ) -> None:
        self.broker = broker
        self.topic = topic
        #: A positive control: `False` reads each changelog to the end that it has when its turn comes.
        self.ends_first = ends_first
        self.decider = decider
        self.partition = partition
        self.steps = steps or Steps()
        self.tables = [decider.journal, *([] if decider.balances is None else [decider.balances])]
        self.disks = dict(disks or {table: Disk() for table in self.tables})
        self.stores = {table: MemoryStore(self.disks[table], self.steps) for table in self.tables}
        self.journal = MemoryLog("journal", broker, self.steps, keep)
        self.publisher = MemoryLog("publisher", broker, self.steps, keep)
        self.inbox = MemoryInbox(self.steps, {partition: Offset(committed)})
        self.committed = Offset(committed)
        #: Called between the restore of the journal and that of the balances: where a zombie may write.
        self.between = between

    def changelog(self, table: str) -> str:
        return f"{table}-changelog"

    def start(self) -> None:
        """Restores as the engine does: it takes the ends, reads the journal first, and then repairs."""
        logs = {
            table: MemoryChangelog(self.broker, self.changelog(table), self.partition)
            for table in self.tables
        }
        ends = self.ends(logs)
        found = {}
        for table, log in logs.items():
            end = ends[table] if self.ends_first else log.end()
            found[table] = restore.restore(log, end, self.stores[table])
            self.between()
        for table, log in logs.items():
            records = restore.repair_records(log, found[table])
            if records:
                written = finish(self.journal.append(records, self.inbox.generation))
                repairs = found[table].repairs
                restore.repaired(self.stores[table], ends[table], repairs, written[log.topic, log.partition])
        for store in self.stores.values():
            store.step = "store: write"
        position = max(self.committed, self.stores[self.decider.journal].inbox or FIRST)
        self.inbox = MemoryInbox(self.steps, {self.partition: position})
        self.round = Round(
            self.topic,
            self.decider,
            self.broker.partitions,
            self.changelog,
            inbox=self.inbox,
            journal=self.journal,
            publisher=self.publisher,
            states={self.partition: PartitionState(self.decider.journal, self.decider.balances, self.stores)},
            passing=self._pass,
        )

    def ends(self, logs: Mapping[str, MemoryChangelog]) -> dict[str, Offset]:
        """As `StoreManager` takes them: the balances' end between two looks at which the journal had the same end."""
        journal = logs[self.decider.journal].end()
        while True:
            before, found = journal, {table: log.end() for table, log in logs.items()}
            self.steps.take("restore: ends")
            journal = logs[self.decider.journal].end()
            if journal == before:
                return {**found, self.decider.journal: journal}

    def _pass(self, point: Point) -> None:
        self.steps.take(point)

    @property
    def position(self) -> Offset:
        return self.inbox.positions[self.partition]

    def run(self, messages: Sequence[Message], sizes: Sequence[int] = ()) -> None:
        """Decides the messages that are not durable yet, in batches of these sizes, and the rest in one."""
        waiting = [each for each in messages if each.offset >= self.position]
        cuts = list(sizes)
        while waiting:
            size = cuts.pop(0) if cuts else len(waiting)
            finish(run(self.round, [batch(waiting[:size], self.partition)]))
            waiting = waiting[size:]

    @property
    def rows(self) -> MemoryTables:
        """The rows that the worker has now."""
        balances = self.decider.balances
        return MemoryTables(
            dict(self.stores[self.decider.journal].rows),
            {} if balances is None else dict(self.stores[balances].rows),
        )
