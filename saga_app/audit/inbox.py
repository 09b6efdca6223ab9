"""The audit of one inbox partition: it is folded again, and everything that can be said of each record is noted."""

from collections.abc import Iterator

import agents
from saga_app import topics, wire
from saga_app.audit.conserved import Conservation
from saga_app.audit.findings import Breach, Findings
from saga_app.audit.matching import FOUND, LETTER, SENT_ON, SLIP, WANTED, Origin, Side
from saga_app.audit.refold import Refold, Told, is_sent_on, order_of
from saga_app.audit.scope import Scope
from saga_app.audit.shelves import ASKED, FOLDED, Shelves
from saga_app.core.decision import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import OrderCancelled, OrderCompleted, OrderPlaced, OrdersLeft, Record, Slip, Undo
from saga_app.core.rows import OPEN_STATUSES, OrderRow, Row, decode
from saga_app.durable import changelogs
from saga_app.durable.library import Service
from saga_app.durable.ports import Message, Place
from saga_app.durable.restore import restore
from saga_app.durable.view import View

#: Records that are decided before their rows are written.
_AT_A_TIME = 2_000


def service_of(topic: str) -> Service:
    """The inbox and its rules."""
    return next(Service(agent.TOPIC, agent.FOLD) for agent in agents.ALL if topic == agent.TOPIC)


class Inbox:
    """One partition of one inbox, and what is noted of it."""

    def __init__(self, scope: Scope, place: Place, shelves: Shelves) -> None:
        self.scope = scope
        self.place = place
        self.findings = Findings()
        self.service = service_of(place[0])
        tables = {table: shelves.shelf(FOLDED, (table, place[1])) for table in self.service.tables}
        self.view = View(self.service.fold.journal, self.service.fold.balances, tables)
        self._fold = Refold(self.service, place[1], scope.settings.partitions, self.view)
        self._asked = shelves.shelf(ASKED, place)
        self._first_asked: dict[bytes, bytes] = {}
        part = f"{place[0]}-{place[1]}"
        self._wanted = Side(scope.folder, WANTED, part)
        self._found = Side(scope.folder, FOUND, part)
        balances = self.service.fold.balances
        self.conservation = None if balances is None else Conservation(place, balances, self.findings)

    def read(self) -> Findings:
        """Folds everything up to the end; where the beginning is gone, takes the tables from their changelogs."""
        if not self.scope.limits.is_whole(self.place):
            self._take_as_they_are()
            return self.findings
        limits = self.scope.limits
        count = 0
        for chunk in messages(self.scope, self.place, limits.first[self.place], limits.end[self.place]):
            for message in chunk:
                self._see(message)
                count += 1
                if count % _AT_A_TIME == 0:
                    self._write()
        self._write()
        self._wanted.close()
        self._found.close()
        if self.conservation is not None and self.service.fold.balances is not None:
            if self.view.horizons:
                # Whoever starts at the changelogs must be able to add up what is left.
                left = Conservation(self.place, self.service.fold.balances, self.findings)
                left.finish(self._rows(self.service.fold.journal), self._rows(self.service.fold.balances))
            self.conservation.tell()
        span = limits.end[self.place] - limits.first[self.place]
        self.findings.count("I8", "offsets", span)
        self.findings.count("I8", "records", count)
        self.findings.count("I8", "gaps", span - count)
        return self.findings

    def _take_as_they_are(self) -> None:
        first = self.scope.limits.first[self.place]
        why = f"{self.place[0]}[{self.place[1]}] begins at offset {first}: it cannot be folded again"
        for invariant in ("I3", "I5", "I7", "I8"):
            self.findings.claim_less(invariant, why)
        settings = self.scope.settings
        for table, shelf in self.view.shelves.items():
            place = (topics.changelog(settings.app_id, table), self.place[1])
            end = self.scope.limits.found[place]
            restore(changelogs.KafkaChangelog(settings.kafka, *place, end), end, shelf)
        if self.conservation is not None and self.service.fold.balances is not None:
            self.findings.claim_less(self.conservation.invariant, f"{why}: added up at its end only")
            self.conservation.finish(
                self._rows(self.service.fold.journal), self._rows(self.service.fold.balances)
            )
            self.conservation.tell()

    def _rows(self, table: str) -> Iterator[tuple[str, Row]]:
        for key, row in self.view.shelves[table].scan(b""):
            yield key.decode(), decode(table, key.decode(), row)

    def _see(self, message: Message) -> None:
        told = self._fold.decide(message)
        self.findings.count("I8", told.verdict.value)
        if isinstance(told.record, OrderPlaced):
            self.findings.count("I8", f"placed {told.verdict.value}")
        if is_sent_on(message) and message.offset < self.scope.limits.found[self.place]:
            # Whatever became of it here: it may be a dead letter, as any other record.
            sent_on = self._origin(message, "record that was sent on")
            self._found.add(SENT_ON, message.value or b"", sent_on)
        if told.verdict is Verdict.DEAD:
            self._dead(told)
        elif told.verdict is Verdict.SENT_ON:
            assert message.value is not None
            self._wanted.add(SENT_ON, message.value, self._origin(message, "record to be sent on"))
        else:
            self._decided(told)

    def _decided(self, told: Told) -> None:
        message, record, decision = told.message, told.record, told.decision
        assert record is not None and decision is not None and message.value is not None
        if self.conservation is not None:
            self.conservation.decided(decision, message.offset)
        if decision.journal is not None and has_ended(told.before):
            self._broken("I3", told, "the order had ended, and changed", "status")
        for sent in decision.sends:
            self._wanted.add(SLIP, wire.encode(sent), self._origin(message, sent.type, sent))
        if message.offset >= self.scope.limits.found[self.place]:
            return
        if isinstance(record, Slip | OrderCompleted | OrderCancelled | OrdersLeft):
            self._found.add(SLIP, wire.encode(record), self._origin(message, record.type, record))
        if isinstance(record, Undo | OrderCancelled):
            key = str(order_of(record)).encode()
            if key not in self._first_asked and self._asked.get(key) is None:
                self._first_asked[key] = str(message.time).encode()

    def _dead(self, told: Told) -> None:
        assert told.rejection is not None
        fault, offset = told.rejection.fault, told.message.offset
        self.findings.count("I8", f"dead letters {fault}")
        if fault is Fault.CONTRADICTION:
            self._broken("I3", told, told.rejection.detail, "status")
        content = letter(self.place, offset, fault)
        self._wanted.add(LETTER, content, self._origin(told.message, f"dead letter {fault}"))

    def _write(self) -> None:
        self._fold.write()
        self._asked.write(self._first_asked, 0)
        self._first_asked.clear()

    def _origin(self, message: Message, what: str, record: Record | None = None) -> Origin:
        return Origin(*self.place, message.offset, what, None if record is None else order_of(record))

    def _broken(self, invariant: str, told: Told, what: str, field: str) -> None:
        order = None if told.record is None else order_of(told.record)
        self.findings.breach(Breach(invariant, what, self.place, told.message.offset, order, field))


def has_ended(row: Row | None) -> bool:
    """Whether it is the row of an order that completed or was cancelled."""
    return isinstance(row, OrderRow) and row.status not in OPEN_STATUSES


def messages(scope: Scope, place: Place, start: int, end: int) -> Iterator[list[Message]]:
    """The partition's records as a worker reads them."""
    kafka = scope.settings.kafka
    for chunk in changelogs.chunks(kafka, *place, start, end, "read_committed"):
        yield [
            Message(each.offset(), each.timestamp()[1], each.key(), each.value(), each.headers() or ())
            for each in chunk
        ]


def letter(place: Place, offset: int, reason: str) -> bytes:
    """What makes a dead letter what it is."""
    return f"{place[0]} {place[1]} {offset} {reason}".encode()
