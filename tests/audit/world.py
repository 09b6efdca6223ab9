"""Topics in memory as workers would have written them, record by record, and ways to damage them."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from saga_app import topics, wire
from saga_app.audit import audit as auditing
from saga_app.audit.checkpoints.folder import NewCheckpoint, latest
from saga_app.audit.cuts import AsOf
from saga_app.audit.findings import Breach, Findings
from saga_app.core.decider import Decider, Position, Put
from saga_app.core.errors import Rejected
from saga_app.core.numbers import FIRST, Generation, Offset
from saga_app.core.order import PricedLine
from saga_app.core.records import OrderPlaced, PolicyChanged, Record
from saga_app.dead_letters.format import dead_letter
from saga_app.engine.misrouted import is_misrouted, marked, spread_to
from saga_app.engine.ports import row_record
from saga_app.engine.retention import Ages, RetentionTimer
from saga_app.kafka.messages import Header, Message, Offsets, Outgoing, Place, outgoing
from saga_app.kafka.order_outcomes import outcome_record
from saga_app.kafka.signatures import Signatures
from saga_app.rebuild.write import rebuilt_records
from saga_app.settings import Settings
from tests.support.examples import cancel, delivery, deposit, placed
from tests.support.given import BEGINNING, CHECKOUT, INVENTORY, PAYMENT, SHIPPING, GivenTables

DECIDERS: Final[dict[str, Decider]] = {
    topics.CHECKOUT: CHECKOUT,
    topics.PAYMENT: PAYMENT,
    topics.INVENTORY: INVENTORY,
    topics.SHIPPING: SHIPPING,
}
PARTITIONS: Final = 2
APP: Final = "saga"


def bought(order_id: str, amount: str = "10.00", country: str = "GB", **goods: int) -> OrderPlaced:
    """An order of customer c1, who has an account."""
    lines = tuple(PricedLine(sku=sku, quantity=quantity) for sku, quantity in (goods or {"mug": 1}).items())
    return placed(order_id, amount, customer_id="c1", country=country, lines=lines)


def partition_of(record: Outgoing) -> int:
    """The partition to which a producer writes this record."""
    key = "" if record.key is None else record.key.decode(errors="replace")
    return topics.partition_of(key, PARTITIONS) if record.partition is None else record.partition


class _Rows:
    """The journal of checkout, as the retention timer reads it from a worker's store."""

    reached = FIRST

    def __init__(self, tables: GivenTables, inbox: Offset) -> None:
        self.inbox = inbox
        self._rows = {key.encode(): row for (table, key), row in tables.bytes.items() if table == "orders"}

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key, row) for key, row in sorted(self._rows.items()) if key.startswith(prefix))

    def write(self, rows: Mapping[bytes, bytes], reached: Offset, inbox: Offset | None = None) -> None:
        raise AssertionError("the retention timer only reads")


class _NoLog:
    """Takes nothing: what the timer sends is written by hand."""

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        raise AssertionError("sent by hand")


@dataclass
class Written:
    """One record in a topic; it answers as confluent-kafka's messages do."""

    at: Offset
    time: int
    sent_key: bytes | None
    sent_value: bytes | None
    sent_headers: Sequence[Header] = ()

    def offset(self) -> Offset:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 2, self.time

    def key(self) -> bytes | None:
        return self.sent_key

    def value(self) -> bytes | None:
        return self.sent_value

    def headers(self) -> list[Header] | None:
        return list(self.sent_headers) or None


@dataclass
class AuditWorld:
    """The topics. A millisecond passes from one record to the next."""

    logs: defaultdict[Place, list[Written]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[Place, Offset] = field(default_factory=dict)
    tables: dict[Place, GivenTables] = field(default_factory=dict)
    now: int = BEGINNING
    cluster: str = "cluster-1"
    settings: Settings = field(default_factory=lambda: Settings(partitions_text=str(PARTITIONS), app_id=APP))
    renewed: set[str] = field(default_factory=set)
    #: Topics with one partition more than the saga knows, and offsets that hold the marker of a transaction.
    added: set[str] = field(default_factory=set)
    markers: defaultdict[Place, set[int]] = field(default_factory=lambda: defaultdict(set))
    #: The first offset of a place, if its beginning was deleted.
    cut: dict[Place, Offset] = field(default_factory=dict)
    #: Called between two questions of an audit that takes its limits: workers go on meanwhile.
    meanwhile: Callable[[], None] = field(default=lambda: None)

    def topic_id(self, name: str) -> str:
        """Kafka's id of a topic."""
        return f"{name} made again" if name in self.renewed else name

    def end(self, place: Place) -> Offset:
        """The offset after the last record."""
        return Offset(self.logs[place][-1].at + 1) if self.logs[place] else self.cut.get(place, FIRST)

    def first(self, place: Place) -> Offset:
        """The offset of the first record."""
        return self.logs[place][0].at if self.logs[place] else self.cut.get(place, FIRST)

    def keep_from(self, place: Place, offset: int) -> None:
        """Retention deletes the records before this offset."""
        self.logs[place] = [each for each in self.logs[place] if each.at >= offset]
        self.cut[place] = Offset(offset)

    def append(self, record: Outgoing) -> Written:
        """Writes one record, as a producer does."""
        place = (record.topic, partition_of(record))
        self.now += 1
        written = Written(self.end(place), self.now, record.key, record.value, record.headers)
        self.logs[place].append(written)
        return written

    def serve(self, record: Outgoing) -> Written:
        """Writes one record as a worker does, signed if it has keys."""
        if (signatures := self.signatures) is not None:
            record = record._replace(headers=signatures.signed(record, partition_of(record)))
        return self.append(record)

    @property
    def signatures(self) -> Signatures | None:
        """The keys that the workers have."""
        return Signatures.of(self.settings)

    def send(
        self, record: Record | bytes, topic: str = topics.CHECKOUT, partition: int | None = None
    ) -> Written:
        """Writes a record as people or services do; bytes into the topic that is named."""
        if isinstance(record, bytes):
            return self.append(Outgoing(topic, b"k", record, partition))
        key = topics.key_of(record).encode()
        return self.append(Outgoing(topics.topic_of(record), key, wire.encode(record), partition))

    def run(self, *records: Record) -> "AuditWorld":
        """Sends the records and decides everything until no record waits; then all of it is committed."""
        for record in records:
            self.send(record)
        while waiting := self.waiting():
            self.decide(waiting[0])
        return self

    def evict(self, *, purge: bool = False) -> "AuditWorld":
        """The retention timer sends its records, much later; they are not decided yet."""
        self._inboxes()
        ages = Ages(evict=1_000, purge=1_000 if purge else None)
        self.now += 2_000
        timer = RetentionTimer(_NoLog(), PARTITIONS, ages, lambda: self.now, segment_width=1)
        for partition in range(PARTITIONS):
            place = (topics.CHECKOUT, partition)
            timer.load(partition, _Rows(self.tables[place], self.committed[place]))
        for record in list(timer.due()):
            self.serve(outgoing(record))
        return self

    def waiting(self) -> list[Place]:
        """The places with records that are not decided yet."""
        return [place for place in self._inboxes() if self.committed[place] < self.end(place)]

    def row(self, table: str, key: str) -> tuple[Place, Written]:
        """The last row of this key, with its place."""
        found = [
            (place, each)
            for place, log in self.logs.items()
            if place[0] == topics.changelog(APP, table)
            for each in log
            if each.sent_key == key.encode()
        ]
        return found[-1]

    def find(self, topic: str, kind: str) -> tuple[Place, Written]:
        """The first record of this type."""
        return next(
            (place, each)
            for place, log in self.logs.items()
            if place[0] == topic
            for each in log
            if f'"{kind}"'.encode() in (each.sent_value or b"")
        )

    def rewrite(self, place: Place, written: Written, **fields: Any) -> None:
        """Changes fields of a row in its topic."""
        row = {**json.loads(written.sent_value or b""), **fields}
        self.replace(place, written, sent_value=json.dumps(row, separators=(",", ":")).encode())

    def replace(self, place: Place, written: Written, **fields: Any) -> None:
        """Changes a record in its topic."""
        log = self.logs[place]
        log[log.index(written)] = replace(written, **fields)

    def remove(self, place: Place, written: Written) -> None:
        """Takes a record out of its topic; those behind it keep their offsets."""
        self.logs[place].remove(written)

    def rebuild(self) -> "AuditWorld":
        """The changelogs are made anew, and have the rows that there are now."""
        for (topic, partition), tables in self.tables.items():
            for table in (DECIDERS[topic].journal, DECIDERS[topic].balances):
                if table is None:
                    continue
                changelog = topics.changelog(APP, table)
                self.renewed.add(changelog)
                self.logs[changelog, partition] = []
                rows = ((key.encode(), row) for (name, key), row in tables.bytes.items() if name == table)
                marked = table == DECIDERS[topic].journal
                for record in rebuilt_records(rows, changelog, partition, marked=marked):
                    self.append(record)
        return self

    def audit(self, at: AsOf | None = None, data_dirs: Sequence[Path] = (), **options: Any) -> Findings:
        """The audit of these topics; `options` are `base` and `target`."""
        return auditing.audit(self.settings, data_dirs, at, jobs=1, **options)

    def checkpointed(self, folder: Path) -> Findings:
        """The audit from the folder's checkpoint; it publishes the next one there if everything holds."""
        with NewCheckpoint(folder) as new:
            findings = self.audit(base=latest(folder), target=new.path)
            if new.is_whole:
                new.publish()
            return findings

    def breaches(self) -> list[Breach]:
        """All breaches that the audit finds."""
        return self.audit().breaches

    def _inboxes(self) -> list[Place]:
        places = [(topic, partition) for topic in topics.INBOXES for partition in range(PARTITIONS)]
        for place in places:
            self.committed.setdefault(place, FIRST)
            self.tables.setdefault(place, GivenTables(DECIDERS[place[0]]))
        return places

    def decide(self, place: Place, crashes: bool = False) -> None:
        """The next record of a partition: first its row, then balances, then what follows from it.

        A worker that crashes has only written the row.
        """
        written = next(each for each in self.logs[place] if each.at >= self.committed[place])
        message = Message(
            written.at, written.time, written.sent_key, written.sent_value, written.sent_headers
        )
        try:
            record = wire.decode(message.value)
            if (signatures := self.signatures) is not None:
                signatures.require(record, message, *place)
            if isinstance(record, PolicyChanged) and is_misrouted(record, message, place[1], PARTITIONS):
                self._send_on(place[0], message, topics.POLICY_PARTITION)
                self.committed[place] = Offset(written.at + 1)
                return
            at = Position(message.offset, message.time, place[1])
            decision = DECIDERS[place[0]].decide(record, at, self.tables[place])
        except Rejected as rejection:
            self.append(dead_letter(*place, message, rejection))
        else:
            self._write(place[1], self.tables[place], decision.puts[: -len(decision.balances) or None])
            if crashes:
                return
            self._write(place[1], self.tables[place], decision.balances)
            for sent in decision.sends:
                self.serve(outgoing(sent))
            for put in decision.outcomes:
                self.serve(outcome_record(put))
            for partition in spread_to(record, message, place[1], PARTITIONS):
                self._send_on(place[0], message, partition)
        self.committed[place] = Offset(written.at + 1)

    def _send_on(self, topic: str, message: Message, partition: int) -> None:
        self.serve(Outgoing(topic, message.key, message.value, partition, marked(message)))

    def _write(self, partition: int, tables: GivenTables, puts: Sequence[Put]) -> None:
        tables.put(puts)
        for put in puts:
            topic = topics.changelog(APP, put.table)
            self.append(row_record(topic, partition, put.key.encode(), put.row.encode()))


def every_ending(world: AuditWorld) -> AuditWorld:
    """Orders that end in every way, and one bad record."""
    supplies: list[Record] = [delivery("d1", mug=10, cup=2), deposit("d1", "100.00")]
    orders: list[Record] = [
        bought("completed"),
        bought("dear", "2000.00"),
        bought("poor", "95.00"),
        bought("unknown", hat=1),
        bought("scarce", cup=3),
        bought("far", country="NZ"),
        bought("regretted"),
        cancel("regretted"),
        bought("completed"),
    ]
    world.send(b"{", topics.PAYMENT, 0)
    return world.run(*supplies).run(*orders)
