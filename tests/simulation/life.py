"""The life of one worker over one inbox partition, and a photograph of all that is left at each of its micro-steps."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from saga_app.kafka.messages import Offsets, Outgoing
from tests.support.memory import Disk, MemoryBroker, MemoryLog, MemoryWorker, Steps, is_row
from tests.support.plan import CrashPlan

Rows = tuple[tuple[bytes, bytes], ...]
Saved = tuple[Rows, int, int | None]
Logs = tuple[tuple[str, tuple[Outgoing, ...]], ...]

#: More writes than there are.
ALL: Final = 1_000


class Left(NamedTuple):
    """All that is there between two workers; equal ones have the same future."""

    logs: Logs
    sent: frozenset[Outgoing]
    #: What each table has on disk; a table that is not there was lost.
    disks: tuple[tuple[str, Saved], ...]
    committed: int
    late: tuple[Outgoing, ...] = ()


NOTHING: Final = Left((), frozenset(), (), 0)


class WorkerLife(Steps):
    """A worker that decides everything, in batches of these sizes; what is late arrives at one moment of its life.

    Between two moments nothing reads or writes a log: so late rows can arrive at each of them, and nowhere else.
    """

    def __init__(
        self,
        plan: CrashPlan,
        left: Left,
        sizes: Sequence[int] = (),
        moment: int = 0,
        *,
        photographed: bool = False,
    ) -> None:
        super().__init__()
        self.left = left
        self.sizes = sizes
        self.moment = moment
        self.moments = 0
        self.under_way: Sequence[Outgoing] = ()
        #: All that was written, in order.
        self.written: list[Outgoing] = []
        self._photographed = photographed
        #: What was left at each micro-step, and how much had been written, or was being written, then.
        self._taken: list[tuple[list[Left], int]] = []
        self.broker = MemoryBroker()
        for topic, rows in left.logs:
            self.broker.logs[topic, 0] = list(rows)
        self.broker.sent = list(left.sent)
        self.worker = MemoryWorker(
            self.broker, plan.topic, plan.decider, self._disks(plan), committed=left.committed, steps=self
        )
        self.worker.journal = SeenLog("journal", self.broker, self)
        self.worker.publisher = SeenLog("publisher", self.broker, self)

    def live(self, plan: CrashPlan) -> None:
        """From the state that was left to the end of the inbox."""
        self.worker.start()
        self.worker.run(plan.messages, self.sizes)
        if self.moment >= self.moments:
            self._arrive()

    def take(self, name: str) -> None:
        sends = name.endswith(": send")
        if sends or name.startswith("restore"):
            if self.moment == self.moments:
                self._arrive()
            self.moments += 1
        if self._photographed:
            writing = self.under_way if sends else ()
            self._taken.append((list(self._leave(writing)), len(self.written) + len(writing)))

    def photographs(self) -> Iterator[Left]:
        """Everything that can be left. What is late never comes, or only what was under way; or it is a zombie that
        has no lease, and all that it went on to write comes."""
        for lefts, written in self._taken:
            for left in lefts:
                yield left._replace(late=())
                yield left
                yield left._replace(late=(*left.late, *self.written[written:]))

    def logs(self) -> dict[str, tuple[Outgoing, ...]]:
        """The changelogs."""
        names = map(self.worker.changelog, self.worker.tables)
        return {name: tuple(self.broker.logs[name, 0]) for name in names}

    def _arrive(self) -> None:
        for record in self.left.late:
            self.broker.append(record)

    def _disks(self, plan: CrashPlan) -> dict[str, Disk]:
        tables = [plan.decider.journal, *([] if plan.decider.balances is None else [plan.decider.balances])]
        kept = dict(self.left.disks)
        return {
            table: Disk([(dict(kept[table][0]), *kept[table][1:])]) if table in kept else Disk()
            for table in tables
        }

    def _leave(self, writing: Sequence[Outgoing]) -> Iterator[Left]:
        worker, logs = self.worker, self.logs()
        offsets = {each[0] for each in (*worker.inbox.history[:1], *worker.inbox.history[-1:])}
        disks = set(product(*(set(self._kept(table)) for table in worker.tables)))
        for written, rest in prefixes(writing):
            rows = {
                topic: log + tuple(row for row in written if row.topic == topic)
                for topic, log in logs.items()
            }
            sent = frozenset(self.broker.sent).union(record for record in written if not is_row(record))
            late = tuple(rest)
            for disk, committed in product(disks, offsets):
                yield Left(tuple(rows.items()), sent, disk, committed, late)

    def _kept(self, table: str) -> Iterator[tuple[str, Saved]]:
        """Of each table on its own: all, all but its last write, or nothing. There is no write-ahead log."""
        states = self.worker.disks[table].states
        for behind in (0, 1, ALL):
            rows, reached, inbox = states[max(0, len(states) - 1 - behind)] if behind < ALL else ({}, 0, None)
            yield table, (tuple(rows.items()), reached, inbox)


class SeenLog(MemoryLog):
    """A log whose appends are photographed."""

    steps: WorkerLife

    async def append(self, records: Sequence[Outgoing], generation: int) -> Offsets:
        self.steps.under_way = records
        offsets = await super().append(records, generation)
        self.steps.written += records
        return offsets


def prefixes(records: Sequence[Outgoing]) -> Iterator[tuple[list[Outgoing], list[Outgoing]]]:
    """Every split into records that are written and records that are not: the places do not wait for each other."""
    places: dict[tuple[str, bytes | None], list[Outgoing]] = {}
    for record in records:
        places.setdefault((record.topic, record.key if record.partition is None else None), []).append(record)
    for cut in product(*(range(len(each) + 1) for each in places.values())):
        parts = list(zip(places.values(), cut, strict=True))
        yield (
            [record for each, end in parts for record in each[:end]],
            [record for each, end in parts for record in each[end:]],
        )
