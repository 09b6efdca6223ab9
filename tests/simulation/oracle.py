"""The right decision about each record: the inbox decided by a worker that is never disturbed, record by record.

It knows no round: no batches, no overlay, no replay. Whatever a worker writes is compared with this.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from saga_app import topics, wire
from saga_app.core import checkout
from saga_app.core.decider import Decision, Position, Put, Verdict
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import (
    ForPartition,
    FundsDeposited,
    FundsWithdrawn,
    OrdersEvicted,
    PolicyChanged,
    Record,
    SegmentsClosed,
    StockAdjusted,
    StockReceived,
)
from saga_app.core.retention.rows import EarlyCancellation
from saga_app.core.row_keys import order_in
from saga_app.core.rows import ASKED_STATES, OPEN_STATUSES, ClosedOrder, JournalRow, OrderRow, Row, decode
from saga_app.dead_letters.format import dead_letter
from saga_app.kafka.messages import Header, Message, Outgoing, Place
from tests.simulation.services import DECIDERS
from tests.support.given import GivenTables

_SENT_ON: Final = "saga-sent-on"


class ExpectedSend(NamedTuple):
    """A record as it must be written; its partition follows from its key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


def sent(record: Outgoing) -> ExpectedSend:
    return ExpectedSend(record.topic, record.key, record.value, tuple(record.headers))


def told_outside(order_id: str, row: Row) -> ExpectedSend | None:
    """The outcome that must be told when this row of checkout is written, spelled here once more."""
    key = order_id.encode()
    if isinstance(row, ClosedOrder):
        return ExpectedSend("order_outcomes", key, None, (("saga-version", b"%d" % row.version),))
    if not isinstance(row, OrderRow) or row.status in OPEN_STATUSES:
        return None
    moment = datetime.fromtimestamp((row.ended_at or 0) / 1000, UTC)
    version = row.version if row.ended_version is None else row.ended_version
    time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    order = json.loads(row.order)
    value = {"version": version, "order_id": order_id, "state": row.status.value}
    if row.status == "CANCELLED":
        value |= {"reason": row.reason, "step": row.step}
    value |= {name: order[name] for name in ("customer_id", "currency", "amount") if name in order}
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{order_id}:{version}",
        "ce_source": "/checkout-saga/order_outcomes",
        "ce_type": f"order.{row.status.lower()}",
        "ce_subject": order_id,
        "ce_time": time,
        "content-type": "application/json",
    }
    return ExpectedSend(
        "order_outcomes",
        key,
        json.dumps({**value, "ended_at": time}, separators=(",", ":")).encode(),
        tuple((name, text.encode()) for name, text in headers.items()),
    )


def told_before(row: Row) -> bool:
    """True if the outcome was told when the order ended, and only its refunds have changed since."""
    return isinstance(row, OrderRow) and row.ended_version is not None


def said(record: Record) -> ExpectedSend:
    """A record that a service sends."""
    return ExpectedSend(topics.topic_of(record), topics.key_of(record).encode(), wire.encode(record))


class ExpectedDecision(NamedTuple):
    """The right decision about one record. `key` and `version`: its row in the journal, as it is afterwards."""

    offset: int
    verdict: Verdict
    record: Record | None = None
    key: str | None = None
    version: int = -1
    before: Row | None = None
    puts: tuple[Put, ...] = ()
    sends: tuple[ExpectedSend, ...] = ()
    fault: Fault | None = None
    #: Kafka's, in milliseconds.
    time: int = 0


class Oracle:
    """One partition of one inbox."""

    def __init__(self, place: Place, partitions: int) -> None:
        self.place = place
        self.topic, self.partition = place
        self.partitions = partitions
        self.decider = DECIDERS[self.topic]
        self.tables = GivenTables(self.decider)
        self.told: list[ExpectedDecision] = []
        #: Offsets of the records that are about a journal row.
        self.about: defaultdict[str, list[int]] = defaultdict(list)
        #: Every row that there ever was, by table, key and version.
        self.rows: dict[tuple[str, str, int], bytes] = {}
        #: For each balance and version the journal row of the record that changed it.
        self.journal_of: dict[int, str] = {}
        #: By order, the versions of its row in which a provider is asked.
        self.asking: defaultdict[str, list[int]] = defaultdict(list)
        #: The nudges that a clock may send, with the version of the order's row that allows each.
        self.nudges: dict[ExpectedSend, tuple[str, int]] = {}

    def hear(self, message: Message) -> ExpectedDecision:
        """The next record of the inbox."""
        try:
            told = self._decide(message)
        except Rejected as rejection:
            letter = sent(dead_letter(self.topic, self.partition, message, rejection))
            told = ExpectedDecision(message.offset, Verdict.DEAD, sends=(letter,), fault=rejection.fault)
        self.told.append(told)
        if told.key is not None:
            self.about[told.key].append(message.offset)
        return told

    def bytes_of(self, table: str) -> dict[bytes, bytes]:
        """All rows of a table."""
        return {key.encode(): row for (name, key), row in self.tables.bytes.items() if name == table}

    def orders(self) -> Iterator[tuple[str, Row]]:
        """The rows of the orders of a checkout partition, as they must be now."""
        for (table, key), data in self.tables.bytes.items():
            if table == self.decider.journal and order_in(key.encode()) is not None:
                yield key, decode(table, key, data)

    def _decide(self, message: Message) -> ExpectedDecision:
        record = wire.decode(message.value)
        if not isinstance(record, self.decider.accepts):
            raise Rejected(Fault.UNEXPECTED_RECORD, f"{record.type} does not belong into {self.topic}")
        is_marked = any(name == _SENT_ON for name, _ in message.headers)
        mark = () if is_marked else ((_SENT_ON, b"1"),)
        headers = (*message.headers, *mark)
        on = ExpectedSend(self.topic, topics.key_of(record).encode(), message.value, headers)
        is_policy = isinstance(record, PolicyChanged)
        if self._is_elsewhere(record) and not (is_policy and is_marked):
            if is_marked:
                raise Rejected(
                    Fault.WRONG_PARTITION, "the record was sent on once and is still in the wrong partition"
                )
            return ExpectedDecision(message.offset, Verdict.SENT_ON, record, sends=(on,))
        # A policy that is where policies come first is sent to every other partition.
        spread = (on,) if is_policy and self.partition == 0 and self.partitions > 1 else ()
        key = journal_key(record)
        before = self._row(key)
        decision = self.decider.decide(
            record, Position(message.offset, message.time, self.partition), self.tables
        )
        if decision.journal is not None and isinstance(decision.journal.row, EarlyCancellation):
            # A cancellation that comes before its order has a row of its own.
            key = decision.journal.key
            before = self._row(key)
        puts = decision.puts
        self._put(puts, key, decision)
        row = self._row(key)
        version = -1 if row is None else row.version
        return ExpectedDecision(
            message.offset,
            decision.verdict,
            record,
            key,
            version,
            before,
            puts,
            (*map(said, decision.sends), *spread, *self._told_outside(record, decision.journal, puts)),
            time=message.time,
        )

    def _told_outside(self, record: Record, put: Put | None, puts: tuple[Put, ...]) -> Iterator[ExpectedSend]:
        """Everything that must be told outside when these rows are new."""
        if self.topic != topics.CHECKOUT:
            return
        closes = isinstance(record, SegmentsClosed)
        for each in puts:
            is_news = each is put and not told_before(each.row)
            if is_news or (closes and isinstance(each.row, ClosedOrder)):
                expected = told_outside(each.key, each.row)
                if expected is not None:
                    yield expected

    def _row(self, key: str) -> Row | None:
        return self.tables.entry(key)

    def _put(self, puts: tuple[Put, ...], key: str, decision: Decision) -> None:
        self.tables.put(puts)
        for table, name, row in puts:
            self.rows[table, name, row.version] = row.encode()
            self.journal_of[row.version] = key
            if isinstance(row, JournalRow) and row.state in ASKED_STATES:
                self.asking[name].append(row.version)
            if isinstance(row, OrderRow) and row.is_under_way:
                # A cancellation leaves the try as it is.
                self.nudges.setdefault(said(checkout.deadline(name, row)), (name, row.version))

    def _is_elsewhere(self, record: Record) -> bool:
        return topics.partition_for(record, self.partitions) != self.partition


def journal_key(record: Record) -> str:
    """The key of the journal row that remembers this record."""
    match record:
        case FundsDeposited():
            return f"deposit:{record.customer_id}:{record.deposit_id}"
        case StockReceived():
            return f"delivery:{record.warehouse}:{record.delivery_id}"
        case FundsWithdrawn():
            return f"withdrawal:{record.customer_id}:{record.withdrawal_id}"
        case StockAdjusted():
            return f"adjustment:{record.warehouse}:{record.adjustment_id}"
        case PolicyChanged():
            return f"policy:{record.policy_id}"
        case OrdersEvicted():
            return f"low_watermark:{record.checkout_partition}"
        case ForPartition():
            return f"low_watermark:{record.partition}"
        case _:
            order_id: str = record.order_id
            return order_id
