"""Safety: every change of the world is checked in the moment that it is made, against the undisturbed decisions."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from saga_app import topics, wire
from saga_app.core.decider import Verdict
from saga_app.core.errors import Fault
from saga_app.core.records import StepAnswered
from saga_app.core.row_keys import low_watermark_key
from saga_app.core.rows import JournalRow, OutsideEffect, is_tombstone, version_of
from saga_app.engine.ports import row_in
from saga_app.kafka.messages import Message, Outgoing, Place
from tests.simulation.customers import Customers
from tests.simulation.ledger import BalanceLedger
from tests.simulation.oracle import ExpectedDecision, ExpectedSend, Oracle, sent
from tests.simulation.sagas import Sagas
from tests.simulation.services import BALANCES, DECIDERS, TABLE_OF
from tests.simulation.violation import must

_TOPIC_OF: Final = {
    table: topic
    for topic, decider in DECIDERS.items()
    for table in (decider.journal, *([] if decider.balances is None else [decider.balances]))
}
#: Records that the retention timer sends when it likes: the decider judges them.
_RETENTION: Final = (b'{"type":"RetentionStarted"', b'{"type":"SegmentsClosed"', b'{"type":"SegmentsPurged"')


_ANSWERED: Final = b'{"type":"StepAnswered"'


def _is_about_retention(what: ExpectedSend) -> bool:
    return what.topic == topics.CHECKOUT and (what.value or b"").startswith(_RETENTION)


class SystemWatch:
    """Everything that was written, and the invariants that must hold for it."""

    def __init__(self, partitions: int, customers: Customers) -> None:
        self.customers = customers
        self.oracles = {
            (topic, partition): Oracle((topic, partition), partitions)
            for topic in topics.INBOXES
            for partition in range(partitions)
        }
        self.sagas = Sagas()
        self._ledgers = {
            place: BalanceLedger() for place in self.oracles if place[0] in (topics.PAYMENT, topics.INVENTORY)
        }
        #: The highest version of each row that is in its changelog.
        self._written: dict[tuple[str, int, str], int] = {}
        #: Everything that workers wrote besides rows, and how often.
        self.sent: Counter[ExpectedSend] = Counter()
        #: Which records ask for a record: the inbox, and the offset.
        self._asked: defaultdict[ExpectedSend, list[tuple[Place, int]]] = defaultdict(list)
        #: Up to where each inbox is known to be settled.
        self._settled: defaultdict[Place, int] = defaultdict(int)

    def heard(self, place: Place, message: Message) -> ExpectedDecision:
        """A record is in an inbox: from here on the right decision about it is known (I1 to I5, I8)."""
        told = self.oracles[place].hear(message)
        for each in told.sends:
            self._asked[each].append((place, told.offset))
        if told.fault is not None:
            must(
                self.customers.explain(told.fault, message),
                "I8 accounted for",
                f"{place} offset {told.offset}: nobody sent what could be {told.fault}: {message.value!r}",
            )
        if place in self._ledgers:
            self._ledgers[place].check(told)
        self.sagas.check(place[0], told)
        return told

    def row(self, record: Outgoing) -> None:
        """A row is in a changelog: it is one that an undisturbed worker writes (I7), balances behind the journal."""
        table, partition = TABLE_OF[record.topic], record.partition or 0
        key, value = (record.key or b"").decode(), row_in(record.value, record.headers)
        version = version_of(value)
        oracle = self.oracles[_TOPIC_OF[table], partition]
        must(
            oracle.rows.get((table, key, version)) == value or self._is_dropped(oracle, table, key, value),
            "I7 one truth",
            f"{table}[{partition}] has for {key} {value!r}, and must have had "
            f"{oracle.rows.get((table, key, version))!r}",
        )
        if table in BALANCES:
            journal, cause = oracle.decider.journal, oracle.journal_of[version]
            must(
                self._written.get((journal, partition, cause), -1) >= version,
                "I9 durable first",
                f"{table}[{partition}] has {key} at version {version} before {journal} has {cause}",
            )
        place = table, partition, key
        self._written[place] = max(version, self._written.get(place, -1))

    def says(self, record: Outgoing) -> None:
        """A worker's record is written: a record of an inbox asks for it (I6), and that is durable (I9)."""
        what = sent(record)
        self.sent[what] += 1
        causes = [(self.oracles[place], self.oracles[place].told[at]) for place, at in self._asked[what]]
        must(
            bool(causes) or self._is_nudge(what) or _is_about_retention(what) or self._is_answer(what),
            "I6 nothing from nowhere",
            f"nothing asks for {what}",
        )
        must(
            not causes or any(self._is_journalled(oracle, told) for oracle, told in causes),
            "I9 durable first",
            f"{what} was sent before the row that it follows from was written",
        )

    def settles(self, place: Place, end: int, who: str) -> None:
        """Whoever starts at this offset leaves out all before it: what they ask for must have been done (I9)."""
        oracle = self.oracles[place]
        for at in range(self._settled[place], end):
            told = oracle.told[at]
            must(
                self._is_durable(oracle, told),
                "I9 durable first",
                f"{who} is past {place} offset {at}, and a row of it is missing",
            )
            must(
                self._is_answered(told) or self._is_superseded(oracle, told),
                "I9 durable first",
                f"{who} is past {place} offset {at}, and its answer was not sent",
            )
        self._settled[place] = max(end, self._settled[place])

    def has_all(self, place: Place, position: int, newest: Mapping[str, Mapping[str, int]]) -> None:
        """A worker decides from here on: the changelogs have what was decided before (I9), whatever they lost."""
        oracle = self.oracles[place]
        rows = {(table, key): row for told in oracle.told[:position] for table, key, row in told.puts}
        for (table, key), row in rows.items():
            must(
                newest[table].get(key, -1) >= row.version
                or self._is_removed(oracle, table, key, row.version),
                "I9 durable first",
                f"decisions begin at {place} offset {position}, and {table} has not {key} of version {row.version}",
            )

    def stored(self, table: str, partition: int, rows: Mapping[bytes, bytes], reached: int, end: int) -> None:
        """A worker's disk has rows: none that the changelog does not have (I7)."""
        must(reached <= end, "I7 one truth", f"{table}[{partition}] reached {reached} of {end}")
        for key, value in rows.items():
            must(
                self._written.get((table, partition, key.decode()), -1) >= version_of(value),
                "I9 durable first",
                f"{table}[{partition}] has {key!r} on disk before the changelog has it",
            )

    def _is_removed(self, oracle: Oracle, table: str, key: str, version: int) -> bool:
        """True if a tombstone of this version or a later one was written, which compaction may have removed."""
        written = self._written.get((table, oracle.partition, key), -1)
        return any(
            is_tombstone(row)
            for (name, of, at), row in oracle.rows.items()
            if (name, of) == (table, key) and version <= at <= written
        )

    def _is_dropped(self, oracle: Oracle, table: str, key: str, value: bytes) -> bool:
        """True if a restore may write a tombstone here: the row was evicted when the low watermark got this version."""
        version = version_of(value)
        keys = (low_watermark_key(place[1]) for place in self.oracles)
        moved = any((table, each, version) in oracle.rows for each in keys)
        if (
            not is_tombstone(value)
            or not moved
            or not self._has_low_watermark(table, oracle.partition, version)
        ):
            return False
        versions = [at for name, of, at in oracle.rows if (name, of) == (table, key) and at <= version]
        return bool(versions) and is_tombstone(oracle.rows[table, key, max(versions)])

    def _has_low_watermark(self, table: str, partition: int, version: int) -> bool:
        """True if the changelog has the low watermark by which a restore drops rows; `agree` knows which."""
        partitions = {place[1] for place in self.oracles}
        keys = ((table, partition, low_watermark_key(each)) for each in partitions)
        return any(self._written.get(key, -1) >= version for key in keys)

    def topic_of(self, table: str) -> str:
        """The inbox from which a table follows."""
        return _TOPIC_OF[table]

    def repeats(self) -> int:
        """Records that changed nothing because they had been applied before."""
        return sum(
            told.verdict is Verdict.REPEATED for oracle in self.oracles.values() for told in oracle.told
        )

    def letters(self) -> set[ExpectedSend]:
        """The dead letters that the inboxes ask for."""
        return {
            each
            for oracle in self.oracles.values()
            for told in oracle.told
            if told.fault is not None
            for each in told.sends
        }

    def faults(self) -> Counter[Fault]:
        """How many records had to be set aside, by reason."""
        return Counter(
            told.fault for oracle in self.oracles.values() for told in oracle.told if told.fault is not None
        )

    def _is_nudge(self, what: ExpectedSend) -> bool:
        if what.topic != topics.CHECKOUT:
            return False
        return any(
            self._written.get((oracle.decider.journal, oracle.partition, order), -1) >= version
            for oracle in self.oracles.values()
            for order, version in [oracle.nudges.get(what, ("", 0))]
            if order
        )

    def _is_answer(self, what: ExpectedSend) -> bool:
        """True if a dispatcher may say this: a row that asks is durable. `EffectsWatch` knows what is true."""
        if not (what.value or b"").startswith(_ANSWERED):
            return False
        record = wire.decode(what.value)
        assert isinstance(record, StepAnswered)
        return self.asks(record.order_id, record.version)

    def asks(self, order: str, version: int | None = None) -> bool:
        """True if a row of an order that asks a provider, or asked it, is durable."""
        return any(
            asked <= self._written.get((oracle.decider.journal, oracle.partition, order), -1)
            and version in (None, asked)
            for oracle in self.oracles.values()
            for asked in oracle.asking[order]
        )

    def effects(self, provider: str) -> Iterator[tuple[JournalRow, str, OutsideEffect]]:
        """The rows of effects at a provider, as they must be now, with the orders' ids."""
        named = f'"provider":"{provider}"'.encode()
        for oracle in self.oracles.values():
            for (table, order_id), data in oracle.tables.bytes.items():
                if table == oracle.decider.journal and named in data:
                    row = JournalRow.decode(data)
                    if row.outside is not None:
                        yield row, order_id, row.outside

    def _is_journalled(self, oracle: Oracle, told: ExpectedDecision) -> bool:
        place = oracle.decider.journal, oracle.partition, told.key or ""
        return told.key is None or self._written.get(place, -1) >= told.version

    def _is_durable(self, oracle: Oracle, told: ExpectedDecision) -> bool:
        return self._is_journalled(oracle, told) and all(
            self._written.get((table, oracle.partition, key), -1) >= row.version
            for table, key, row in told.puts
        )

    def _is_answered(self, told: ExpectedDecision) -> bool:
        return all(map(self.sent.__contains__, told.sends))

    def _is_superseded(self, oracle: Oracle, told: ExpectedDecision) -> bool:
        """A crash after the journal of [do, undo]: the replay of both sends what the row has now."""
        later = (
            [] if told.key is None else [oracle.told[at] for at in oracle.about[told.key] if at > told.offset]
        )
        return any(
            each.version > told.version and self._is_durable(oracle, each) and self._is_answered(each)
            for each in later
        )
