"""The four services without Kafka: they decide records, and return the messages that a worker would have written."""

from collections import Counter, deque
from collections.abc import Collection

from saga_app import topics, wire
from saga_app.core.decider import Position
from saga_app.core.errors import Rejected
from saga_app.core.numbers import Offset
from saga_app.core.records import Record
from saga_app.dead_letters import format as letter_format
from saga_app.kafka import messages
from tests.orderdb.batches import FakeMessage
from tests.simulation.services import DECIDERS
from tests.support.given import BEGINNING, SECOND, GivenTables


class Services:
    """Each service decides its inbox at once; services with a `silent` inbox decide nothing. One partition each.

    From one record to the next, whatever its inbox, a second passes.
    """

    def __init__(self) -> None:
        self._beginning = BEGINNING
        self.silent: Collection[str] = ()
        self._rows = {topic: GivenTables(decider) for topic, decider in DECIDERS.items()}
        self._offsets: Counter[str] = Counter()
        self._on_its_way: deque[Record] = deque()
        self._written: list[FakeMessage] = []

    def set_clock(self, time: int) -> None:
        """Sets the time of the next record, in milliseconds."""
        self._beginning = time - self._offsets.total() * SECOND

    def send(self, *records: Record) -> list[FakeMessage]:
        """Decides each record with everything that follows from it; returns all messages that were written."""
        self._written = []
        for record in records:
            self._on_its_way.append(record)
            while self._on_its_way:
                self._take(self._on_its_way.popleft())
        return self._written

    def _take(self, record: Record) -> None:
        topic = topics.topic_of(record)
        at = Position(Offset(self._offsets[topic]), self._beginning + self._offsets.total() * SECOND)
        self._offsets[topic] += 1
        message = messages.Message(at.offset, at.time, topics.key_of(record).encode(), wire.encode(record))
        self._written.append(FakeMessage(topic, at.offset, message.value, message.key or b"", at.time))
        if topic in self.silent:
            return
        try:
            self._decide(record, topic, at)
        except Rejected as rejection:
            letter = letter_format.dead_letter(topic, 3, message, rejection)
            self._written.append(
                FakeMessage(letter.topic, at.offset, letter.value, letter.key or b"", at.time, letter.headers)
            )

    def _decide(self, record: Record, topic: str, at: Position) -> None:
        rows = self._rows[topic]
        decision = rows.decider.decide(record, at, rows)
        puts = [put for put in (decision.journal, *decision.balances) if put is not None]
        rows.put(puts)
        for put in puts:
            changelog = topics.changelog("saga", put.table)
            self._written.append(
                FakeMessage(changelog, at.offset, put.row.encode(), put.key.encode(), at.time)
            )
        self._on_its_way.extend(decision.sends)
