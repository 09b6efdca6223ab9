"""The broker: logs with Kafka's times, sends that are under way, committed offsets; whatever is written is watched."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Final

from saga_app import topics
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.rows import version_of
from saga_app.engine.ports import row_in
from saga_app.kafka.messages import Message, Offsets, Outgoing, Place
from tests.simulation.services import TABLE_OF
from tests.simulation.watch import SystemWatch
from tests.support.memory import MemoryBroker

_INBOXES: Final = frozenset(topics.INBOXES)


class Send:
    """The records of one append, under way to the broker. Awaited by whoever must know that all are there."""

    def __init__(self, who: str, records: Sequence[Outgoing], place: Callable[[Outgoing], Place]) -> None:
        self.who = who
        self.offsets: defaultdict[Place, list[Offset]] = defaultdict(list)
        self.waiting: dict[Place, deque[Outgoing]] = {}
        for record in records:
            self.waiting.setdefault(place(record), deque()).append(record)

    @property
    def done(self) -> bool:
        return not self.waiting

    def next(self, place: Place) -> Outgoing:
        """Takes the next record for this place off the way."""
        queue = self.waiting[place]
        found = queue.popleft()
        if not queue:
            del self.waiting[place]
        return found

    def __await__(self) -> Generator["Send", None, Offsets]:
        while self.waiting:
            yield self
        return self.offsets


class Kafka(MemoryBroker):
    """Partitions keep their order; between partitions there is none."""

    def __init__(self, partitions: int, watch: SystemWatch, now: Callable[[], int]) -> None:
        super().__init__(partitions)
        self.watch = watch
        self.now = now
        self.inboxes: defaultdict[Place, list[Message]] = defaultdict(list)
        #: What is under way, and what a cut network holds of workers that are no more.
        self.sends: list[Send] = []
        self.late: list[Send] = []
        #: Rows below have been met by an owner that repaired: compaction may keep the ones written last.
        self.repaired: dict[Place, Offset] = {}
        #: Cut, and not yet written by a later owner: the sequence of the producer before fell with its rows, so the
        #: broker takes no copy of what it sent.
        self.without_producer: set[Place] = set()
        #: How many terms of owners have begun.
        self.terms = 0
        #: How often each partition was made anew.
        self.made_anew: Counter[Place] = Counter()

    def send(self, who: str, records: Sequence[Outgoing]) -> Send:
        """Records leave a worker."""
        send = Send(who, records, self.place)
        self.sends.append(send)
        return send

    def deliver(self, send: Send, place: Place) -> Outgoing:
        """The broker writes the next record of a send."""
        record = send.next(place)
        send.offsets[place].append(self.append(record))
        self._forget(send)
        return record

    def lose(self, send: Send, place: Place) -> Outgoing:
        """The record is acknowledged, and it is not there."""
        record = send.next(place)
        self.watch.says(record)
        self._forget(send)
        return record

    def abandon(self, who: str, *, may_arrive: bool) -> None:
        """A worker is no more. What it had under way is lost, or arrives some time."""
        for send in [send for send in self.sends if send.who == who]:
            self.sends.remove(send)
            if may_arrive:
                self.late.append(send)

    def append(self, record: Outgoing) -> Offset:
        """Writes a worker's record or row."""
        if record.topic in TABLE_OF:
            self.watch.row(record)
        else:
            self.watch.says(record)
        return self.write(record)

    def write(self, record: Outgoing) -> Offset:
        """Writes a record, whoever sent it."""
        place = self.place(record)
        log = self.logs[place]
        log.append(record)
        if record.topic in _INBOXES:
            message = Message(
                Offset(len(log) - 1), self.now(), record.key, record.value, tuple(record.headers)
            )
            self.inboxes[place].append(message)
            self.watch.heard(place, message)
        return Offset(len(log) - 1)

    def make_anew(self, place: Place, records: Iterable[Outgoing]) -> None:
        """A changelog partition is deleted, and written again by no worker."""
        self.cut(place, 0)
        self.logs[place] = list(records)
        self.made_anew[place] += 1

    def cut(self, place: Place, end: int) -> None:
        """A changelog partition loses the rows from here on, and what was under way in a network that fell with it."""
        del self.logs[place][end:]
        self.compacted[place] &= set(range(end))
        self.repaired[place] = min(Offset(end), self.repaired.get(place, FIRST))
        self.late.clear()
        self.without_producer.add(place)

    def topic_id(self, place: Place) -> str:
        return f"{place[0]}-{self.made_anew[place]}"

    def newest(self, place: Place) -> dict[str, int]:
        """The highest version of each key that the changelog has."""
        found: dict[str, int] = {}
        for offset, row in enumerate(self.logs[place]):
            if offset not in self.compacted[place]:
                key, version = (row.key or b"").decode(), version_of(row_in(row.value, row.headers))
                found[key] = max(version, found.get(key, version))
        return found

    def end(self, place: Place) -> Offset:
        return Offset(len(self.logs[place]))

    def _forget(self, send: Send) -> None:
        if send.done:
            for sends in (self.sends, self.late):
                if send in sends:
                    sends.remove(send)
