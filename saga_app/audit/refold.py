"""The refold: it decides an inbox partition again, with the pure rules alone, to know the outcome of each record."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import agents
from saga_app import topics, wire
from saga_app.core.decider import Decision, Position, Service, Verdict
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import Record, StepRequest
from saga_app.core.rows import ClosedOrder, JournalRow, OrderRow, Tombstone
from saga_app.engine.misrouted import is_misrouted, spread_to
from saga_app.engine.partition_state import PartitionState
from saga_app.kafka.messages import Message, record_in
from saga_app.kafka.signatures import Signatures


def service_of(topic: str) -> Service:
    """The service of an inbox: its topic and its decider."""
    return next(Service(agent.TOPIC, agent.DECIDER) for agent in agents.ALL if topic == agent.TOPIC)


class RecordOutcome(NamedTuple):
    """The outcome of one record. `record` is None if it cannot be read, `decision` if none was made.

    `before` is the order's row before the record; `evicted` has the rows of the orders that it evicts or purges;
    `spread_to` are the partitions that get a copy of it.
    """

    message: Message
    verdict: Verdict
    record: Record | None = None
    before: OrderRow | ClosedOrder | JournalRow | None = None
    decision: Decision | None = None
    rejection: Rejected | None = None
    evicted: Mapping[str, OrderRow | ClosedOrder | JournalRow] = MappingProxyType({})
    spread_to: Sequence[int] = ()


class InboxRefold:
    """The refold of one partition; `state` holds rows that are decided and not yet written to the stores."""

    def __init__(
        self,
        service: Service,
        partition: int,
        partitions: int,
        state: PartitionState,
        signatures: Signatures | None = None,
    ) -> None:
        self.service = service
        self.partition = partition
        self.partitions = partitions
        self.state = state
        self.signatures = signatures
        self._decoder = wire.Decoder()

    def decide(self, message: Message) -> RecordOutcome:
        """Decides the next record of the partition. Records must come in the order of their offsets, each once."""
        record = before = None
        try:
            record = record_in(message, self._decoder)
            if not isinstance(record, self.service.decider.accepts):
                raise Rejected(Fault.UNEXPECTED_RECORD, f"{record.type} does not belong here")
            if self.signatures is not None:
                self.signatures.require(record, message, self.service.topic, self.partition)
            if is_misrouted(record, message, self.partition, self.partitions):
                return RecordOutcome(message, Verdict.SENT_ON, record)
            before = self._row(record)
            elsewhere = spread_to(record, message, self.partition, self.partitions)
            decision = self.service.decider.decide(
                record, Position(message.offset, message.time, self.partition), self.state
            )
        except Rejected as rejection:
            return RecordOutcome(message, Verdict.DEAD, record, before, rejection=rejection)
        evicted = self._evicted(decision)
        self.state.put(decision.puts)
        return RecordOutcome(
            message, decision.verdict, record, before, decision, evicted=evicted, spread_to=elsewhere
        )

    def write(self) -> None:
        """Writes the decided rows to the stores."""
        for table, store in self.state.stores.items():
            if rows := self.state.decided(table):
                store.write(rows, store.reached)
        self.state.clear()

    def _evicted(self, decision: Decision) -> Mapping[str, OrderRow | ClosedOrder | JournalRow]:
        removed = [put.key for put in decision.others if isinstance(put.row, ClosedOrder | Tombstone)]
        rows = ((key, self.state.entry(key)) for key in removed)
        return {key: row for key, row in rows if isinstance(row, OrderRow | ClosedOrder | JournalRow)}

    def _row(self, record: Record) -> OrderRow | ClosedOrder | JournalRow | None:
        order = order_of(record)
        if order is None:
            return None
        return self.state.order(order) if self.service.topic == topics.CHECKOUT else self.state.journal(order)


def order_of(record: Record) -> str | None:
    """The order that a record is about; None for deposits, deliveries, policies, and records about a partition."""
    if isinstance(record, StepRequest):
        return record.order.order_id
    return getattr(record, "order_id", None)
