"""One inbox partition, exhaustively: every short history, and every micro-step of a worker as its end.

A worker's life is lived once, and at each micro-step a photograph is taken of all that would be left if it ended there:
every prefix of what it was writing, in each place; each table on disk kept, behind or lost; its last offsets committed
or not. The rest of its rows never arrives, or at any moment of its successor; or it is a zombie without a lease, and
all that it goes on to write arrives then. Each photograph is where a next worker begins; equal ones are looked at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from saga_app.core.errors import RowsMissing
from saga_app.engine.stores import restore
from saga_app.kafka.messages import Outgoing
from tests.simulation.life import NOTHING, Left, Logs, WorkerLife
from tests.simulation.scopes import SCOPES
from tests.simulation.violation import Violation
from tests.support.memory import Disk, MemoryChangelog, MemoryStore
from tests.support.plan import CrashPlan, Undisturbed


@dataclass
class Count:
    """How much was looked at."""

    histories: int = 0
    states: int = 0
    transitions: int = 0
    endings: set[Logs] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.histories} histories, {self.states} states, {self.transitions} transitions"


class History:
    """One sequence of records, and everything that can befall those who decide it."""

    def __init__(self, plan: CrashPlan, count: Count) -> None:
        self.plan = plan
        self.count = count
        self.calm = Undisturbed(plan)
        self.asked = {record for sends in self.calm.sends for record in sends}
        self.seen = {NOTHING}

    def explore(self, crashes: int) -> None:
        """Lives that many workers to every end that they can have, and one more to its own."""
        self.count.histories += 1
        waiting = [NOTHING]
        for _ in range(crashes):
            waiting = [
                found
                for left in waiting
                for sizes in _cuts(len(self.plan.records))
                for life in self._lives(left, sizes, photographed=True)
                for found in self._new(life)
            ]
        self._end(waiting)
        self.count.states += len(self.seen)

    def _new(self, life: WorkerLife) -> Iterator[Left]:
        """The new situations that this life can leave."""
        for left in life.photographs():
            self.count.transitions += 1
            if left not in self.seen:
                self.seen.add(left)
                self._is_settled(left.sent, left.committed)
                yield left

    def _end(self, waiting: Sequence[Left]) -> None:
        """The last workers: in one batch, and where rows may arrive between its own, in many."""
        one_by_one = (1,) * len(self.plan.records)
        for left, sents in _alike(waiting).items():
            self.count.transitions += len(sents)
            for sizes in ((), one_by_one) if left.late else ((),):
                for life in self._lives(left, sizes):
                    for sent in sents:
                        self._is_settled(sent.union(life.broker.sent), len(self.plan.records))

    def _lives(self, left: Left, sizes: Sequence[int], *, photographed: bool = False) -> Iterator[WorkerLife]:
        """A next worker, for each moment at which what is late arrives."""
        moment, moments = 0, 0
        while moment <= moments:
            life = WorkerLife(self.plan, left, sizes, moment, photographed=photographed)
            try:
                life.live(self.plan)
            except RowsMissing as error:
                raise Violation("tripwire", f"{self.plan.records}: {error}") from error
            self._examine(life)
            yield life
            moment, moments = moment + 1, life.moments if left.late else 0

    def _examine(self, life: WorkerLife) -> None:
        """Checks a worker that has come to the end of the inbox."""
        rows, sent = life.worker.rows, frozenset(life.broker.sent)
        if rows != self.calm.tables:
            raise Violation("I7 one truth", f"{self.plan.records}: {rows} and not {self.calm.tables}")
        if not sent <= self.asked:
            raise Violation("I6 nothing from nowhere", f"{self.plan.records}: {sent - self.asked}")
        logs = tuple(life.logs().items())
        if logs not in self.count.endings:
            self.count.endings.add(logs)
            self._restores(life)

    def _is_settled(self, sent: frozenset[Outgoing], end: int) -> None:
        """Each record below was answered, or one that changed the same row later was."""
        for offset, sends in enumerate(self.calm.sends[:end]):
            if sent.issuperset(sends):
                continue
            about = b"".join(record.value or b"" for record in sends)
            later = {key for changes in self.calm.changes[offset + 1 :] for key in changes}
            if not any(b'"order_id":"%s"' % key in about for key in later):
                raise Violation(
                    "I9 durable first",
                    f"{self.plan.records}: committed past offset {offset}, and its answer was not sent",
                )

    def _restores(self, life: WorkerLife) -> None:
        """The changelogs give the same tables to a new owner, also when an old one repaired and they were compacted."""
        worker, broker = life.worker, life.broker
        for table, expected in zip(worker.tables, worker.rows, strict=False):
            log = MemoryChangelog(broker, worker.changelog(table), 0)
            for disk in (worker.disks[table], Disk()):
                store = MemoryStore(Disk(disk.states[-1:]))
                # The first one is stopped before it repairs.
                restore.restore(log, log.end(), store)
                end = log.end()
                found = restore.restore(log, end, store)
                written = [broker.append(record) for record in restore.repair_records(log, found)]
                restore.repaired(store, end, found.repairs, written)
                if store.rows != expected:
                    raise Violation("I7 one truth", f"{self.plan.records}: restored {store.rows}")
                broker.compact((log.topic, 0))


def _alike(lefts: Sequence[Left]) -> dict[Left, list[frozenset[Outgoing]]]:
    """Merges ends that are alike for the next worker: it sees no sent records, and its disk may know a later offset."""
    alike: dict[Left, list[frozenset[Outgoing]]] = {}
    for left in lefts:
        known = left.disks[0][1][2] or 0 if left.disks else 0
        same = left._replace(sent=frozenset(), committed=max(known, left.committed))
        alike.setdefault(same, []).append(left.sent)
    return alike


def _cuts(length: int) -> Iterator[tuple[int, ...]]:
    """Every way to bring so many records in batches."""
    if length == 0:
        yield ()
    for first in range(1, length + 1):
        for rest in _cuts(length - first):
            yield (first, *rest)


def explore(name: str, length: int, crashes: int, count: Count, kinds: int | None = None) -> None:
    """Every history of a scope, with up to so many records after the first ones."""
    scope = SCOPES[name]
    for records in scope.histories(length, kinds):
        History(CrashPlan(scope.topic, records, ()), count).explore(crashes)
