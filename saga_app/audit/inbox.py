"""The audit of one inbox partition: it is folded again, and everything that can be said of each record is noted."""

from collections.abc import Iterator, Mapping

from saga_app import wire
from saga_app.audit.checkpoints import files
from saga_app.audit.checks.conservation import Conservation
from saga_app.audit.checks.matching import (
    FOUND,
    LATER,
    LETTER,
    SENT_ON,
    STEP_REQUEST,
    WANTED,
    Origin,
    SideWriter,
)
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Breach, Findings
from saga_app.audit.log import InboxLog
from saga_app.audit.refold import InboxRefold, RecordOutcome, order_of, service_of
from saga_app.audit.scratch import ASKED, EVICTED, FOLDED, REMOVED, Item, Stores, order_and_segment
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import (
    OrderCancelled,
    OrderCompleted,
    OrderPlaced,
    OrdersEvicted,
    Record,
    StepRequest,
    Undo,
)
from saga_app.core.rows import OPEN_STATUSES, ClosedOrder, OrderRow, Row, Tombstone, decode, version_of
from saga_app.engine.misrouted import is_sent_on
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.stores.rocks import RocksStore
from saga_app.kafka.messages import Message, Place

#: Records that are decided before their rows are written.
_AT_A_TIME = 2_000
#: The file of a checkpoint, and what is in it beside rows: counts, what conservation added up, the last record.
INBOX = "inbox"
_SUMS = "sums"
_LAST = "last"


class InboxAudit:
    """One partition of one inbox, and what is noted of it."""

    def __init__(self, context: AuditContext, place: Place, stores: Stores) -> None:
        self.context = context
        self.place = place
        self.findings = Findings()
        self.service = service_of(place[0])
        self._tables = {table: stores.store(FOLDED, (table, place[1])) for table in self.service.tables}
        self._asked = stores.store(ASKED, place)
        self._first_asked: dict[bytes, bytes] = {}
        self._evicted = stores.store(EVICTED, place)
        #: Of the journal: balances are never removed.
        self._removed = stores.store(REMOVED, (self.service.decider.journal, place[1]))
        sides = (SideWriter(context.folder, side, f"{place[0]}-{place[1]}") for side in (WANTED, FOUND, LATER))
        self._wanted, self._found, self._later = sides
        balances = self.service.decider.balances
        self.conservation = None if balances is None else Conservation(place, balances, self.findings)
        self._log = InboxLog(context, place, self._resume(), self.findings)
        # Made only now: it looks for the policy that is in force.
        self.state = PartitionState(self.service.decider.journal, balances, self._tables)
        self._fold = InboxRefold(self.service, place[1], context.settings.partitions, self.state)

    def read(self) -> Findings:
        """Folds everything up to the end."""
        limits = self.context.limits
        count = 0
        for message in self._log.new():
            self._see(message)
            count += 1
            if count % _AT_A_TIME == 0:
                self._write()
        self._write()
        for side in (self._wanted, self._found, self._later):
            side.close()
        if self.conservation is not None:
            if self.state.low_watermarks:
                self._add_up_the_end()
            self.conservation.tell()
        span = max(0, limits.end[self.place] - limits.start(self.place))
        self.findings.count("I8", "offsets", span)
        self.findings.count("I8", "records", count)
        self.findings.count("I8", "gaps", span - count)
        self._keep()
        return self.findings

    def _resume(self) -> Mapping[bytes, bytes]:
        """Puts on the stores what a checkpoint has of this partition."""
        if self.context.base is None:
            return {}
        path = files.part(self.context.base, INBOX, self.place)
        kept = files.load(path, {**self._tables, ASKED: self._asked, REMOVED: self._removed})
        files.resume_counts(kept, self.findings)
        if self.conservation is not None:
            self.conservation.resume(kept.get(_SUMS, {}))
        return kept.get(_LAST, {})

    def _keep(self) -> None:
        """Writes the part of the next checkpoint."""
        if self.context.target is None:
            return
        rows = {table: store.scan() for table, store in self._tables.items()}
        sums = iter(()) if self.conservation is None else self.conservation.sums()
        kept = {**rows, ASKED: self._asked.scan(), _SUMS: sums, _LAST: self._log.last.items()}
        removed = {REMOVED: self._under_way()}
        path = files.part(self.context.target, INBOX, self.place)
        files.write(path, {**kept, **removed, **files.counts(self.findings)})

    def _under_way(self) -> Iterator[Item]:
        """Removed rows that a changelog may still have."""
        committed = self.context.limits.committed[self.place]
        return ((key, row) for key, row in self._removed.scan() if version_of(row) >= committed)

    def _add_up_the_end(self) -> None:
        """An audit that begins with the rows must find the same: what was evicted is in the totals."""
        decider = self.service.decider
        assert decider.balances is not None
        end = Conservation(self.place, decider.balances, self.findings)
        end.finish(rows_of(self._tables, decider.journal), rows_of(self._tables, decider.balances))

    def _see(self, message: Message) -> None:
        outcome = self._fold.decide(message)
        self.findings.count("I8", outcome.verdict.value)
        if isinstance(outcome.record, OrderPlaced):
            self.findings.count("I8", f"placed {outcome.verdict.value}")
        if is_sent_on(message):
            # Whatever became of it here: it may be a dead letter, as any other record.
            sent_on = self._origin(message, "record that was sent on")
            self._side(message).add(SENT_ON, message.value or b"", sent_on)
        if outcome.verdict is Verdict.DEAD:
            self._dead(outcome)
        elif outcome.verdict is Verdict.SENT_ON:
            assert message.value is not None
            self._wanted.add(SENT_ON, message.value, self._origin(message, "record to be sent on"))
        else:
            self._decided(outcome)

    def _decided(self, outcome: RecordOutcome) -> None:
        message, record, decision = outcome.message, outcome.record, outcome.decision
        assert record is not None and decision is not None and message.value is not None
        if self.conservation is not None:
            self.conservation.decided(decision, message.offset)
        if decision.journal is not None and has_ended(outcome.before):
            self._broken("I3", outcome, "the order had ended, and changed", "status")
        self._keep_evicted(outcome)
        for sent in decision.sends:
            self._wanted.add(STEP_REQUEST, wire.encode(sent), self._origin(message, sent.type, sent))
        if isinstance(record, StepRequest | OrderCompleted | OrderCancelled | OrdersEvicted):
            self._side(message).add(
                STEP_REQUEST, wire.encode(record), self._origin(message, record.type, record)
            )
        if isinstance(record, Undo | OrderCancelled):
            key = str(order_of(record)).encode()
            if key not in self._first_asked and self._asked.get(key) is None:
                self._first_asked[key] = b"%d %d" % (message.time, message.offset)

    def _keep_evicted(self, outcome: RecordOutcome) -> None:
        """Keeps evicted rows, to look at them across the services, and notes which keys have no row any more."""
        rows = {
            order_and_segment(order_id, row.segment): row.encode()
            for order_id, row in outcome.evicted.items()
            if not isinstance(row, ClosedOrder)
        }
        if rows:
            self._evicted.write(rows, 0)
        removed = (
            [put.key for put in outcome.decision.others if isinstance(put.row, Tombstone)]
            if outcome.decision
            else []
        )
        if removed and outcome.message.offset >= self.context.limits.committed[self.place]:
            # Not `Tombstone`: that would be removed.
            since = b'{"version":%d,"removed":true}' % outcome.message.offset
            self._removed.write({key.encode(): since for key in removed}, 0)

    def _dead(self, outcome: RecordOutcome) -> None:
        assert outcome.rejection is not None
        fault, offset = outcome.rejection.fault, outcome.message.offset
        self.findings.count("I8", f"dead letters {fault}")
        if fault is Fault.CONTRADICTION:
            self._broken("I3", outcome, outcome.rejection.detail, "status")
        content = letter(self.place, offset, fault)
        self._wanted.add(LETTER, content, self._origin(outcome.message, f"dead letter {fault}"))

    def _write(self) -> None:
        self._fold.write()
        self._asked.write(self._first_asked, 0)
        self._first_asked.clear()

    def _side(self, message: Message) -> SideWriter:
        """What came behind the limit is explained by records that may come behind the end."""
        return self._found if message.offset < self.context.limits.found[self.place] else self._later

    def _origin(self, message: Message, what: str, record: Record | None = None) -> Origin:
        return Origin(*self.place, message.offset, what, None if record is None else order_of(record))

    def _broken(self, invariant: str, outcome: RecordOutcome, what: str, field: str) -> None:
        order = None if outcome.record is None else order_of(outcome.record)
        self.findings.breach(Breach(invariant, what, self.place, outcome.message.offset, order, field))


def has_ended(row: Row | None) -> bool:
    """Whether it is the row of an order that completed or was cancelled."""
    return isinstance(row, OrderRow) and row.status not in OPEN_STATUSES


def rows_of(stores: Mapping[str, RocksStore], table: str) -> Iterator[tuple[str, Row]]:
    """All rows of a table."""
    for data, row in stores[table].scan():
        key = data.decode()
        yield key, decode(table, key, row)


def letter(place: Place, offset: int, reason: str) -> bytes:
    """What makes a dead letter what it is."""
    return f"{place[0]} {place[1]} {offset} {reason}".encode()
