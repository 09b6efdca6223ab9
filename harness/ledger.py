"""Checks a quiet system from its topics alone: refolds every inbox, compares with the changelogs, adds it all up."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import agents
from harness.log import Place, everything
from harness.refold import Dead, Refold, Tables
from saga_app import topics, wire
from saga_app.core import records
from saga_app.core.errors import Rejected
from saga_app.core.rows import version_of
from saga_app.dead_letters import format as letter_format

Rows = dict[str, dict[str, Any]]

#: The journal of each inbox.
JOURNALS = {agent.TOPIC: agent.DECIDER.journal for agent in agents.ALL}
STEPS = tuple(JOURNALS[topic] for topic in topics.STEPS)


#: Of all other records, people send them.
SENT_BY_SERVICES = (records.Do, records.Undo, records.OrderCompleted, records.OrderCancelled)


class RequestId(NamedTuple):
    """The identity of a request or ending that one service sends to another: its type and its order."""

    type: str
    order_id: str


class TopicLedger:
    """The state of the system as its topics tell it."""

    def __init__(
        self, broker: str, partitions: int = topics.DEFAULT_PARTITIONS, app_id: str = "saga"
    ) -> None:
        self.broker = broker
        self.partitions = partitions
        self.app_id = app_id
        self.inboxes = {name: everything(broker, name, partitions) for name in topics.INBOXES}
        written = everything(broker, topics.DEAD_LETTERS, partitions)
        self.letters = [each for each in written if letter_format.marked_place(each.headers()) is None]
        self.refold = Refold(self.inboxes, partitions)
        self.logged = self._read_changelogs()

    @property
    def dead(self) -> list[Dead]:
        """Records of the inboxes that must be dead letters."""
        return self.refold.dead

    @property
    def records(self) -> int:
        """Records in the four inboxes."""
        return sum(map(len, self.inboxes.values()))

    def check(self, dead_letters: int = 0) -> None:
        """Every rule that must hold when nothing is on its way."""
        assert len(self.dead) == dead_letters, f"dead letters: {self.dead[:5]}"
        self.dead_letters_are_written()
        for table in self.refold.tables:
            self._same(table)
        self.ends()
        self.ends_one_way()
        self.nothing_half_done()
        self.money_and_stock()

    def dead_letters_are_written(self) -> None:
        """I8: the dead letters are those that the inboxes explain, each with its place and reason."""
        written = {letter_of(each) for each in self.letters}
        assert written == set(self.dead), (
            f"dead letters missing {sorted(set(self.dead) - written)[:3]}, "
            f"unexplained {sorted(written - set(self.dead))[:3]}"
        )

    def ends(self) -> None:
        """I3: every accepted order has ended."""
        open_ = [key for key, row in self.orders().items() if row["status"] not in ("COMPLETED", "CANCELLED")]
        assert not open_, f"{len(open_)} orders are open, for example {open_[:3]}"

    def ends_one_way(self) -> None:
        """I3: no order was told both that it completed and that it is cancelled."""
        told = set(self.step_requests())
        both = [
            order
            for kind, order in told
            if kind == "OrderCompleted" and RequestId("OrderCancelled", order) in told
        ]
        assert not both, f"{len(both)} orders ended both ways, for example {both[:3]}"

    def nothing_half_done(self) -> None:
        """I4: a completed order has all effects, a cancelled one has none."""
        steps = [self.rows(table) for table in STEPS]
        for key, row in self.orders().items():
            # A payment that was authorised first is captured.
            done = [step.get(key, {}).get("state") in ("DONE", "CAPTURED") for step in steps]
            want = [row["status"] == "COMPLETED"] * len(STEPS)
            assert done == want, f"order {key} is {row['status']}, but its steps are done: {done}"

    def money_and_stock(self) -> None:
        """I1 and I2: supplies equal the balances plus the amounts that orders hold; no balance is below zero."""
        self._conserved("payments", "accounts", "deposited", "balance")
        self._conserved("reservations", "stock", "received", "available")

    def committed_is_complete(self, committed: dict[Place, int]) -> None:
        """After a stop in order: every decision that is in a journal lies below the committed offset."""
        for topic, table in JOURNALS.items():
            for (partition, key), row in self.logged[table].items():
                place = (topic, partition)
                assert version_of(row) < committed[place], (
                    f"{table} {key!r} was decided at offset {version_of(row)} of {place}, "
                    f"but only {committed[place]} is committed"
                )

    def rows(self, table: str) -> Rows:
        """The table's rows, parsed, by key."""
        return {key.decode(): json.loads(row) for (_, key), row in self.logged[table].items()}

    def orders(self) -> Rows:
        """The rows of orders, without those about segments."""
        return {key: row for key, row in self.rows("orders").items() if ":" not in key}

    def statuses(self) -> Counter[str]:
        """How many orders completed, or were cancelled for which reason."""
        return Counter(str(row.get("reason", row["status"])) for row in self.orders().values())

    def step_requests(self) -> Counter[RequestId]:
        """How often each order's requests and endings were sent by the services."""
        return Counter(self._step_requests())

    def repeats(self) -> dict[RequestId, int]:
        """Requests and endings that were sent more than once, with their counts."""
        return {step_request: count for step_request, count in self.step_requests().items() if count > 1}

    def _step_requests(self) -> Iterator[RequestId]:
        for inbox, messages in self.inboxes.items():
            for message in messages:
                with suppress(Rejected):
                    record = wire.decode(message.value())
                    if isinstance(record, SENT_BY_SERVICES) and topics.topic_of(record) == inbox:
                        yield RequestId(record.type, record.order_id)

    def _conserved(self, journal: str, balances: str, came: str, there: str) -> None:
        held: dict[str, Decimal] = defaultdict(Decimal)
        brought: dict[str, Decimal] = defaultdict(Decimal)
        for key, row in self.rows(journal).items():
            for name, amount in (row.get("moves") or {}).items():
                if ":" in key:
                    brought[name] += Decimal(amount)
                elif row["state"] == "DONE":
                    held[name] -= Decimal(amount)
        table = self.rows(balances)
        assert set(brought) == set(table), f"{balances} that nothing was brought to"
        for name, row in table.items():
            total, left = Decimal(row[came]), Decimal(row[there])
            assert total == brought[name], f"{name}: {came} {total}, but the journal brought {brought[name]}"
            assert total == left + held[name], f"{name}: {came} {total}, {there} {left}, held {held[name]}"
            assert left >= 0, f"{name} is below zero: {left}"

    def _same(self, table: str) -> None:
        """I7: the changelog holds exactly the rows that a refold of the inbox gives."""
        refolded, logged = self.refold.tables[table], self.logged[table]
        assert set(refolded) == set(logged), (
            f"{table}: missing {sorted(set(refolded) - set(logged))[:3]}, "
            f"unexplained {sorted(set(logged) - set(refolded))[:3]}"
        )
        for key, row in refolded.items():
            assert row == logged[key], f"{table} {key!r}: changelog {logged[key]!r}, refold {row!r}"

    def _read_changelogs(self) -> Tables:
        """The row with the highest version of each key, which must also be the one written last."""
        tables: Tables = {}
        for table in self.refold.tables:
            rows: dict[tuple[int, bytes], bytes] = {}
            stale: set[tuple[int, bytes]] = set()
            for message in everything(self.broker, topics.changelog(self.app_id, table), self.partitions):
                key, row = (message.partition(), message.key()), message.value()
                if row is None:
                    rows.pop(key, None)
                    continue
                if key in rows and version_of(rows[key]) > version_of(row):
                    stale.add(key)
                    continue
                stale.discard(key)
                rows[key] = row
            assert not stale, f"{table}: an old row was written last for {sorted(stale)[:3]}"
            tables[table] = rows
        return tables


def letter_of(message: Any) -> Dead:
    """Where a dead letter comes from, and why, as its headers say."""
    headers = {name: value.decode() for name, value in message.headers() or ()}
    return Dead(
        headers[letter_format.TOPIC],
        int(headers[letter_format.PARTITION]),
        int(headers[letter_format.OFFSET]),
        headers[letter_format.REASON],
    )
