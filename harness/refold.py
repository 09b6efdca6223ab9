"""Decides the inboxes again, record by record, in memory: the tables must hold the same rows."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import agents
from saga_app import topics, wire
from saga_app.core.decider import Position, Service
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.records import PolicyChanged, Record
from saga_app.engine.partition_state import PartitionState
from saga_app.kafka.headers import SENT_ON

#: The rows of each table, by partition and key: a policy is in every partition under the same key.
Tables = dict[str, dict[tuple[int, bytes], bytes]]


class DictStore:
    """Rows of one table and partition, in memory."""

    reached = FIRST
    inbox: Offset | None = None

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(item for item in self.rows.items() if item[0].startswith(prefix)))

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        self.rows.update(rows)


class Dead(NamedTuple):
    """A record that must be a dead letter, and where it stands."""

    topic: str
    partition: int
    offset: int
    reason: str


class Refold:
    """The tables and the dead letters that follow from the inboxes, `{topic: messages, by partition and offset}`."""

    def __init__(self, inboxes: Mapping[str, list[Any]], partitions: int) -> None:
        self.partitions = partitions
        self.tables: Tables = {}
        self.dead: list[Dead] = []
        for agent in agents.ALL:
            self._fold(Service(agent.TOPIC, agent.DECIDER), inboxes[agent.TOPIC])

    def _fold(self, service: Service, messages: list[Any]) -> None:
        stores = [{table: DictStore() for table in service.tables} for _ in range(self.partitions)]
        states = [PartitionState(service.decider.journal, service.decider.balances, each) for each in stores]
        for message in messages:
            try:
                self._decide(service, message, states[message.partition()])
            except Rejected as why:
                place = (service.topic, message.partition(), message.offset())
                self.dead.append(Dead(*place, str(why.fault)))
        for partition, each in enumerate(stores):
            for table, store in each.items():
                rows = self.tables.setdefault(table, {})
                rows.update({(partition, key): row for key, row in store.rows.items()})

    def _decide(self, service: Service, message: Any, state: PartitionState) -> None:
        record = wire.decode(message.value())
        if not isinstance(record, service.decider.accepts):
            raise Rejected(Fault.UNEXPECTED_RECORD, "")
        if self._is_elsewhere(record, message):
            return
        at = Position(message.offset(), message.timestamp()[1], message.partition())
        decision = service.decider.decide(record, at, state)
        state.put(decision.puts)
        for table, store in state.stores.items():
            store.write(state.decided(table), FIRST)
        state.clear()

    def _is_elsewhere(self, record: Record, message: Any) -> bool:
        """True if it must be sent on. Raises `Rejected` if it was sent on before."""
        if topics.partition_for(record, self.partitions) == message.partition():
            return False
        if any(name == SENT_ON for name, _ in message.headers() or ()):
            if isinstance(record, PolicyChanged):
                return False
            raise Rejected(Fault.WRONG_PARTITION, "")
        return True
