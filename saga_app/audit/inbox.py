"""The audit of one inbox partition: it refolds the partition, checks each decision, and notes its consequences."""

from typing import Final

from saga_app import topics, wire
from saga_app.audit.checks.conservation import Conservation
from saga_app.audit.checks.matching import (
    FOUND,
    LATER,
    LETTER,
    REFUSED,
    SENT_ON,
    STEP_REQUEST,
    WANTED,
    Origin,
    SideWriter,
    letter_content,
)
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.audit.inbox_stores import LAST, SUMS, InboxStores, rows_of
from saga_app.audit.log import InboxLog
from saga_app.audit.refold import InboxRefold, RecordOutcome, order_of, service_of
from saga_app.audit.scratch import Stores
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import (
    OrderCancelled,
    OrderCompleted,
    OrderPlaced,
    OrdersEvicted,
    PolicyChanged,
    Record,
    RefundCompleted,
    RefundRefused,
    StepRequest,
    Undo,
)
from saga_app.core.rows import OPEN_STATUSES, OrderRow, Row
from saga_app.engine.partition_state import PartitionState
from saga_app.kafka import batches
from saga_app.kafka.headers import is_sent_on
from saga_app.kafka.messages import Message, Place
from saga_app.kafka.signatures import Signatures

#: Records that follow from a record of an inbox.
_CONSEQUENCES: Final = (
    StepRequest,
    OrderCompleted,
    OrderCancelled,
    RefundCompleted,
    RefundRefused,
    OrdersEvicted,
)
#: Records that are decided before their rows are written.
_AT_A_TIME: Final = 2_000


class InboxAudit:
    """The audit of one partition of one inbox."""

    def __init__(self, context: AuditContext, place: Place, stores: Stores) -> None:
        self.context = context
        self.place = place
        self.findings = Findings()
        self.service = service_of(place[0])
        self._stores = InboxStores(context, self.service, place, stores)
        sides = (
            SideWriter(context.folder, side, f"{place[0]}-{place[1]}")
            for side in (WANTED, FOUND, LATER, REFUSED)
        )
        self._wanted, self._found, self._later, self._refused = sides
        balances = self.service.decider.balances
        self.conservation = None if balances is None else Conservation(place, balances, self.findings)
        kept = self._stores.resume(self.findings)
        if self.conservation is not None:
            self.conservation.resume(kept.get(SUMS, {}))
        self._log = InboxLog(context, place, kept.get(LAST, {}), self.findings)
        # Made after `resume`: it looks for the policy that is in force.
        self.state = PartitionState(self.service.decider.journal, balances, self._stores.tables)
        #: True behind the committed offset.
        self._is_behind = False
        signatures = Signatures.of(context.settings)
        self._refold = InboxRefold(
            self.service, place[1], context.settings.partitions, self.state, signatures
        )

    def read(self) -> Findings:
        """Checks every record up to the end."""
        limits = self.context.limits
        count = 0
        for message in self._log.new():
            if not self._is_behind and message.offset >= limits.committed[self.place]:
                # From here on rows are kept as they are committed.
                self._write()
                self._is_behind = True
            self._check(message)
            count += 1
            if count % _AT_A_TIME == 0:
                self._write()
        self._write()
        for side in (self._wanted, self._found, self._later, self._refused):
            side.close()
        if self.conservation is not None:
            if self.state.low_watermarks:
                self._add_up_the_end()
            self.conservation.report()
        span = max(0, limits.end[self.place] - limits.start(self.place))
        self.findings.count("I8", "offsets", span)
        self.findings.count("I8", "records", count)
        self.findings.count("I8", "gaps", span - count)
        if span > count:
            must_have_no_holes(self.context, self.place, self.findings)
        sums = iter(()) if self.conservation is None else self.conservation.sums()
        self._stores.save(self.findings, sums, self._log.last.items())
        return self.findings

    def _add_up_the_end(self) -> None:
        """An audit that begins with the rows must find the same: what was evicted is in the totals."""
        decider, tables = self.service.decider, self._stores.tables
        assert decider.balances is not None
        end = Conservation(self.place, decider.balances, self.findings)
        end.finish(rows_of(tables, decider.journal), rows_of(tables, decider.balances))

    def _check(self, message: Message) -> None:
        outcome = self._refold.decide(message)
        self.findings.count("I8", outcome.verdict.value)
        if isinstance(outcome.record, OrderPlaced):
            self.findings.count("I8", f"placed {outcome.verdict.value}")
        if is_sent_on(message.headers) and not is_refused(outcome, Fault.NOT_SIGNED):
            # Whatever its outcome is here: it may be a dead letter, as any other record.
            sent_on = self._origin(message, "record that was sent on")
            here = sent_on_content(outcome.record, message, self.place[1])
            self._side(message).add(SENT_ON, here, sent_on)
        if outcome.verdict is Verdict.DEAD:
            self._dead(outcome)
        elif outcome.verdict is Verdict.SENT_ON:
            assert outcome.record is not None
            own = topics.partition_for(outcome.record, self.context.settings.partitions)
            content = sent_on_content(outcome.record, message, own)
            self._wanted.add(SENT_ON, content, self._origin(message, "record to be sent on"))
        else:
            self._decided(outcome)

    def _decided(self, outcome: RecordOutcome) -> None:
        message, record, decision = outcome.message, outcome.record, outcome.decision
        assert record is not None and decision is not None and message.value is not None
        if self.conservation is not None:
            self.conservation.decided(decision, message.offset)
        if decision.journal is not None and has_ended(outcome.before) and not is_refunded(outcome):
            self._broken("I3", outcome, "the order had ended, and changed", "status")
        self._stores.keep_evicted(outcome)
        for partition in outcome.spread_to:
            content = sent_on_content(record, message, partition)
            self._wanted.add(SENT_ON, content, self._origin(message, "policy for another partition"))
        for sent in decision.sends:
            self._wanted.add(STEP_REQUEST, wire.encode(sent), self._origin(message, sent.type, sent))
        self._found_at(self._side(message), message, record)
        if isinstance(record, Undo | OrderCancelled):
            self._stores.note_undo(str(order_of(record)), message)

    def _dead(self, outcome: RecordOutcome) -> None:
        assert outcome.rejection is not None
        fault, offset = outcome.rejection.fault, outcome.message.offset
        self.findings.count("I8", f"dead letters {fault}")
        if fault is Fault.CONTRADICTION:
            self._broken("I3", outcome, outcome.rejection.detail, "status")
        # No worker sends a record without its signature, or to another service's inbox.
        if outcome.record is not None and fault not in (Fault.NOT_SIGNED, Fault.UNEXPECTED_RECORD):
            self._found_at(self._refused, outcome.message, outcome.record)
        content = letter_content(self.place, offset, fault)
        origin = self._origin(outcome.message, f"dead letter {fault}")
        self._wanted.add(LETTER, content, origin._replace(time=outcome.message.time))

    def _found_at(self, side: SideWriter, message: Message, record: Record) -> None:
        if isinstance(record, _CONSEQUENCES):
            side.add(STEP_REQUEST, wire.encode(record), self._origin(message, record.type, record))

    def _write(self) -> None:
        keep = self._stores.keep_committed if self._is_behind else self._stores.forget_committed
        for table in self.service.tables:
            keep(table, self.state.decided(table))
        self._refold.write()
        self._stores.flush()

    def _side(self, message: Message) -> SideWriter:
        """A record above the cut `found` may have its cause above the end, so it is no proof of a breach."""
        return self._found if message.offset < self.context.limits.found[self.place] else self._later

    def _origin(self, message: Message, what: str, record: Record | None = None) -> Origin:
        return Origin(*self.place, message.offset, what, None if record is None else order_of(record))

    def _broken(self, invariant: str, outcome: RecordOutcome, what: str, field: str) -> None:
        order = None if outcome.record is None else order_of(outcome.record)
        self.findings.breach(
            Breach(invariant, what, self.place, outcome.message.offset, order, field, Mending.TWO_ENDINGS)
        )


def must_have_no_holes(context: AuditContext, place: Place, findings: Findings) -> None:
    """I8: an offset without a record has a transaction's marker or an aborted record; compaction leaves nothing."""
    limits = context.limits
    start = max(limits.start(place), limits.first[place])
    number, first = batches.missing(context.settings, place, start, limits.end[place])
    if number:
        findings.count("I8", "records missing", number)
        what = f"{number} records from here on are gone: cleanup.policy is or was compact; see `saga topics --check`"
        findings.breach(Breach("I8", what, place, first, mending=Mending.GONE))


def sent_on_content(record: Record | None, message: Message, partition: int) -> bytes:
    """The content by which a record that was sent on is found in a partition; policies are in all of them."""
    value = message.value or b""
    return b"%d %s" % (partition, value) if isinstance(record, PolicyChanged) else value


def is_refused(outcome: RecordOutcome, fault: Fault) -> bool:
    """True if the record is a dead letter for this reason."""
    return outcome.rejection is not None and outcome.rejection.fault is fault


def has_ended(row: Row | None) -> bool:
    """True if it is the row of an order that completed or was cancelled."""
    return isinstance(row, OrderRow) and row.status not in OPEN_STATUSES


def is_refunded(outcome: RecordOutcome) -> bool:
    """True if nothing of the order changed but its refunds, and the times of their deadlines."""
    put = None if outcome.decision is None else outcome.decision.journal
    before = outcome.before
    if put is None or not isinstance(put.row, OrderRow) or not isinstance(before, OrderRow):
        return False
    then, now = (each.ending._replace(tries=0, refunds=(), ended_version=None) for each in (before, put.row))
    return then == now and bool(put.row.refunds)
