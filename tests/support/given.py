"""Given, when, then: a decider over rows in memory.

    given(PAYMENT, deposit(), pay(order())).when(refund(order())).then(cancelled())

Records stand at offsets 0, 1, 2 and so on, a second apart. Rows are kept as bytes, so what a test reads has been
written down and read back, as in a worker.
"""

from collections.abc import Iterable
from typing import Self

from saga_app.core.checkout import Checkout
from saga_app.core.decider import Decider, Decision, Position, Put, Verdict
from saga_app.core.errors import Fault, Rejected
from saga_app.core.inventory import Inventory
from saga_app.core.numbers import Offset
from saga_app.core.participant import Participant
from saga_app.core.payment import Payment
from saga_app.core.records import Record
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.rows import (
    Account,
    Balance,
    ClosedOrder,
    JournalRow,
    OrderRow,
    Row,
    Stock,
    Tombstone,
    decode,
)
from saga_app.core.shipping import Shipping

CHECKOUT: Decider = Checkout()
PAYMENT: Decider = Participant(Payment())
INVENTORY: Decider = Participant(Inventory())
SHIPPING: Decider = Participant(Shipping())

#: Kafka's time of the record at offset 0, in milliseconds, and from one record to the next.
BEGINNING = 1_700_000_000_000
SECOND = 1_000


class GivenTables:
    """Rows of one partition, as bytes; see `core.decider.Rows`."""

    def __init__(self, decider: Decider) -> None:
        self.decider = decider
        self.bytes: dict[tuple[str, str], bytes] = {}

    def order(self, key: str) -> OrderRow | ClosedOrder | None:
        row = self.entry(key)
        assert row is None or isinstance(row, OrderRow | ClosedOrder)
        return row

    def journal(self, key: str) -> JournalRow | None:
        row = self.entry(key)
        assert row is None or isinstance(row, JournalRow)
        return row

    def low_watermark(self, partition: int) -> LowWatermark | None:
        row = self.entry(f"low_watermark:{partition}")
        assert row is None or isinstance(row, LowWatermark)
        return row

    def entry(self, key: str) -> Row | None:
        data = self.bytes.get((self.decider.journal, key))
        return None if data is None else decode(self.decider.journal, key, data)

    def balance(self, key: str) -> Balance | None:
        assert self.decider.balances is not None
        data = self.bytes.get((self.decider.balances, key))
        if data is None:
            return None
        return Account.decode(data) if self.decider.balances == "accounts" else Stock.decode(data)

    def balances_of(self, owner: str) -> Iterable[Balance]:
        found = [
            key for table, key in self.bytes if table == self.decider.balances and key.startswith(f"{owner}:")
        ]
        return [row for row in map(self.balance, found) if row is not None]

    def policy(self) -> JournalRow | None:
        found = [
            JournalRow.decode(data)
            for (table, key), data in self.bytes.items()
            if table == self.decider.journal and key.startswith("policy:")
        ]
        return max(found, key=lambda row: row.version, default=None)

    def put(self, puts: Iterable[Put]) -> None:
        for table, key, row in puts:
            if isinstance(row, Tombstone):
                self.bytes.pop((table, key), None)
            else:
                self.bytes[table, key] = row.encode()


class Story:
    """One partition of an inbox: its rows so far, and the decision about the last record."""

    def __init__(self, decider: Decider) -> None:
        self.decider = decider
        self.rows = GivenTables(decider)
        self.offset = 0
        self.decision: Decision | None = None
        self.rejection: Rejected | None = None
        self.before: dict[tuple[str, str], bytes] = {}

    def when(self, record: Record, offset: int | None = None) -> Self:
        """The record arrives, at the next offset or, on a replay, at the one that it had."""
        at = self.offset if offset is None else offset
        self.offset = max(self.offset, at + 1)
        self.before = dict(self.rows.bytes)
        self.decision = self.rejection = None
        try:
            self.decision = self.decider.decide(
                record, Position(Offset(at), BEGINNING + at * SECOND), self.rows
            )
        except Rejected as rejection:
            self.rejection = rejection
            return self
        self.rows.put(self.decision.puts)
        return self

    def lose(self, *tables: str) -> Self:
        """A crash lost all rows of these tables, and all that was sent."""
        self.rows.bytes = {place: row for place, row in self.rows.bytes.items() if place[0] not in tables}
        return self

    def then(self, *sends: Record) -> Self:
        """Exactly these records are sent; none, if none is named."""
        assert self.rejection is None
        assert self.decision is not None
        assert self.decision.sends == sends
        return self

    def is_dead(self, fault: Fault) -> Self:
        """The record was set aside for this reason, and nothing changed."""
        assert self.rejection is not None, f"{self.decision} instead of a dead letter"
        assert self.rejection.fault is fault
        assert self.rows.bytes == self.before
        return self

    def changes_nothing(self) -> Self:
        """No row was written."""
        assert self.decision is None or self.decision.journal is None
        assert self.rows.bytes == self.before
        return self

    def verdict(self, verdict: Verdict) -> Self:
        assert self.decision is not None
        assert self.decision.verdict is verdict
        return self

    def order(self, key: str = "o1") -> OrderRow:
        row = self.rows.order(key)
        assert isinstance(row, OrderRow)
        return row

    def row(self, key: str = "o1") -> JournalRow:
        row = self.rows.journal(key)
        assert row is not None
        return row

    def account(self, key: str = "c1:GBP") -> Account:
        row = self.rows.balance(key)
        assert isinstance(row, Account)
        return row

    def stock(self, sku: str, warehouse: str = "main") -> Stock:
        row = self.rows.balance(f"{warehouse}:{sku}")
        assert isinstance(row, Stock)
        return row


def given(decider: Decider, *records: Record) -> Story:
    """These records have arrived; none of them was set aside."""
    story = Story(decider)
    for record in records:
        story.when(record)
        assert story.rejection is None, story.rejection
    return story
