"""Folds one inbox partition again, with the pure rules and nothing else: what must have become of each record."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import agents
from saga_app import topics, wire
from saga_app.core.decision import At, Decision, Verdict
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import Record, Slip
from saga_app.core.rows import GoneOrder, JournalRow, Nothing, OrderRow
from saga_app.durable.library import Service
from saga_app.durable.ports import Message
from saga_app.durable.strays import is_stray
from saga_app.durable.view import View


def service_of(topic: str) -> Service:
    """The inbox and its rules."""
    return next(Service(agent.TOPIC, agent.FOLD) for agent in agents.ALL if topic == agent.TOPIC)


class Told(NamedTuple):
    """What became of one record. `record` is None where it cannot be read, `decision` where nothing was decided.

    `before` is the order's row as it was before the record; `left` has the rows of orders that leave with it.
    """

    message: Message
    verdict: Verdict
    record: Record | None = None
    before: OrderRow | GoneOrder | JournalRow | None = None
    decision: Decision | None = None
    rejection: Rejected | None = None
    left: Mapping[str, OrderRow | GoneOrder | JournalRow] = MappingProxyType({})


class Refold:
    """The fold of one partition; `view` holds what is decided and not yet written to its shelves."""

    def __init__(self, service: Service, partition: int, partitions: int, view: View) -> None:
        self.service = service
        self.partition = partition
        self.partitions = partitions
        self.view = view

    def decide(self, message: Message) -> Told:
        """Decides the next record; the records of a partition come in order, each once."""
        record = before = None
        try:
            record = wire.decode(message.value)
            if not isinstance(record, self.service.fold.accepts):
                raise Rejected(Fault.UNEXPECTED_RECORD, f"{record.type} does not belong here")
            if is_stray(record, message, self.partition, self.partitions):
                return Told(message, Verdict.SENT_ON, record)
            before = self._row(record)
            decision = self.service.fold.decide(
                record, At(message.offset, message.time, self.partition), self.view
            )
        except Rejected as rejection:
            return Told(message, Verdict.DEAD, record, before, rejection=rejection)
        left = self._left(decision)
        self.view.put(decision.puts)
        return Told(message, decision.verdict, record, before, decision, left=left)

    def write(self) -> None:
        """Puts what was decided on the shelves."""
        for table, shelf in self.view.shelves.items():
            if rows := self.view.decided(table):
                shelf.write(rows, shelf.reached)
        self.view.clear()

    def _left(self, decision: Decision) -> Mapping[str, OrderRow | GoneOrder | JournalRow]:
        gone = [put.key for put in decision.others if isinstance(put.row, GoneOrder | Nothing)]
        rows = ((key, self.view.entry(key)) for key in gone)
        return {key: row for key, row in rows if isinstance(row, OrderRow | GoneOrder | JournalRow)}

    def _row(self, record: Record) -> OrderRow | GoneOrder | JournalRow | None:
        order = order_of(record)
        if order is None:
            return None
        return self.view.order(order) if self.service.topic == topics.CHECKOUT else self.view.journal(order)


def order_of(record: Record) -> str | None:
    """The order that a record is about; None for deposits, deliveries, policies, and orders that leave together."""
    if isinstance(record, Slip):
        return record.order.order_id
    return getattr(record, "order_id", None)
