"""Checks a quiet system from its topics alone: refolds every inbox, compares with the changelogs, adds everything up."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import agents
from saga_app import topics, wire
from saga_app.core.decision import At
from saga_app.core.errors import Rejected
from saga_app.core.records import PolicyChanged
from saga_app.core.rows import version_of
from saga_app.durable.engine import Service
from saga_app.durable.view import View
from tests.live.shop import everything

Rows = dict[str, dict[str, Any]]


class DictShelf:
    """Rows of one table and partition, in memory."""

    reached = 0
    inbox: int | None = None

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(item for item in self.rows.items() if item[0].startswith(prefix)))

    def write(self, rows: Mapping[bytes, bytes], reached: int, inbox: int | None = None) -> None:
        self.rows.update(rows)


class Ledger:
    """The state of the system as its topics tell it."""

    def __init__(self, broker: str, partitions: int, app_id: str = "saga") -> None:
        self.broker = broker
        self.partitions = partitions
        self.app_id = app_id
        self.dead: list[tuple[str, int, int, str]] = []
        self.records = 0
        self.refolded = self._refold()
        self.logged = self._read_changelogs()

    def check(self, dead_letters: int = 0) -> None:
        """Every rule that must hold when nothing is on its way."""
        assert len(self.dead) == dead_letters, f"dead letters: {self.dead[:5]}"
        for table in self.refolded:
            self._same(table, self.refolded[table], self.logged[table])
        self.ends()
        self.nothing_half_done()
        self.money_and_stock()

    def ends(self) -> None:
        """I3: every accepted order has ended."""
        open_ = [key for key, row in self.rows("orders").items() if row["status"] not in ("COMPLETED", "CANCELLED")]
        assert not open_, f"{len(open_)} orders are open, for example {open_[:3]}"

    def nothing_half_done(self) -> None:
        """I4: a completed order has all three effects, a cancelled one has none."""
        steps = [self.rows(table) for table in ("payments", "reservations", "shipments")]
        for key, row in self.rows("orders").items():
            done = [step.get(key, {}).get("state") == "DONE" for step in steps]
            want = [row["status"] == "COMPLETED"] * 3
            assert done == want, f"order {key} is {row['status']}, but its steps are done: {done}"

    def money_and_stock(self) -> None:
        """I1 and I2: what came in is what is there and what is held; nothing is below zero."""
        self._conserved("payments", "accounts", "deposited", "balance")
        self._conserved("reservations", "stock", "received", "available")

    def rows(self, table: str) -> Rows:
        """The table's rows, parsed."""
        return {key.decode(): json.loads(row) for key, row in self.logged[table].items()}

    def statuses(self) -> Counter[str]:
        """How many orders completed, or were cancelled for which reason."""
        return Counter(row.get("reason", row["status"]) for row in self.rows("orders").values())

    def written(self) -> dict[str, int]:
        """How many rows each changelog holds: a repeat must not add one."""
        return {table: len(everything(self.broker, self._changelog(table), self.partitions)) for table in self.logged}

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

    def _same(self, table: str, refolded: dict[bytes, bytes], logged: dict[bytes, bytes]) -> None:
        """I7: the changelog holds exactly what a fold of the inbox gives."""
        assert set(refolded) == set(logged), (
            f"{table}: missing {sorted(set(refolded) - set(logged))[:3]}, "
            f"unexplained {sorted(set(logged) - set(refolded))[:3]}"
        )
        for key, row in refolded.items():
            assert row == logged[key], f"{table} {key!r}: changelog {logged[key]!r}, refold {row!r}"

    def _refold(self) -> dict[str, dict[bytes, bytes]]:
        tables: dict[str, dict[bytes, bytes]] = {}
        for agent in agents.ALL:
            service = Service(agent.TOPIC, agent.FOLD)
            for partition in range(self.partitions):
                shelves = {table: DictShelf() for table in service.tables}
                view = View(service.fold.journal, service.fold.balances, shelves)
                for message in self._inbox(agent.TOPIC, partition):
                    self._fold_one(service, view, message)
                for table, shelf in shelves.items():
                    tables.setdefault(table, {}).update(shelf.rows)
        return tables

    def _inbox(self, topic: str, partition: int) -> list[Any]:
        if not hasattr(self, "_inboxes"):
            self._inboxes: dict[tuple[str, int], list[Any]] = defaultdict(list)
            for name in topics.INBOXES:
                for message in everything(self.broker, name, self.partitions):
                    self._inboxes[name, message.partition()].append(message)
        return self._inboxes[topic, partition]

    def _fold_one(self, service: Service, view: View, message: Any) -> None:
        self.records += 1
        try:
            record = wire.decode(message.value())
            if not isinstance(record, service.fold.accepts):
                raise Rejected("unexpected_record", "")  # type: ignore[arg-type]
            if not isinstance(record, PolicyChanged):
                right = topics.partition_of(topics.key_of(record), self.partitions)
                if right != message.partition():
                    return
            decision = service.fold.decide(record, At(message.offset(), message.timestamp()[1]), view)
        except Rejected as rejected:
            self.dead.append((service.topic, message.partition(), message.offset(), str(rejected)))
            return
        view.put([*([decision.journal] if decision.journal else []), *decision.balances])
        for table, shelf in view.shelves.items():
            shelf.write(view.decided(table), 0)
        view.clear()

    def _read_changelogs(self) -> dict[str, dict[bytes, bytes]]:
        """The row with the highest version of each key, which must also be the one written last."""
        tables: dict[str, dict[bytes, bytes]] = {}
        for table in self.refolded:
            rows: dict[bytes, bytes] = {}
            stale: set[bytes] = set()
            for message in everything(self.broker, self._changelog(table), self.partitions):
                key, row = message.key(), message.value()
                if key in rows and version_of(rows[key]) > version_of(row):
                    stale.add(key)
                    continue
                stale.discard(key)
                rows[key] = row
            assert not stale, f"{table}: an old row was written last for {sorted(stale)[:3]}"
            tables[table] = rows
        return tables

    def _changelog(self, table: str) -> str:
        return topics.changelog(self.app_id, table)
