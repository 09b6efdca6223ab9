"""The state of one inbox partition as decisions see it: what this round decided, then what the store holds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from saga_app.core.decider import Put
from saga_app.core.numbers import Offset
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.row_keys import KeyKind, balance_key, is_order_key, kind_of, number_in, parts_of_balance
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
from saga_app.engine.ports import Store

#: Rows that are kept decoded between rounds, per table and partition.
MOST_RECENT: Final = 1_500


class PartitionState:
    """Rows of one partition; see `core.decider.Rows`. The overlay holds what is decided and not yet on disk."""

    def __init__(self, journal: str, balances: str | None, stores: Mapping[str, Store]) -> None:
        self.journal_table = journal
        self.balance_table = balances
        self.stores = stores
        #: By table, the end of its changelog behind the rows that were applied last.
        self.ends: dict[str, Offset] = {}
        self._overlay: dict[str, dict[str, Row]] = {table: {} for table in stores}
        self._recent: dict[str, dict[str, Row]] = {table: {} for table in stores}
        #: By owner, the keys of the balances in the overlay.
        self._owned: defaultdict[str, set[str]] = defaultdict(set)
        self._policy = self._find_policy()
        self.low_watermarks = {
            number_in(key.decode()): row
            for key, data in self.stores[journal].scan(KeyKind.LOW_WATERMARK.prefix)
            if isinstance(row := decode(journal, key.decode(), data), LowWatermark)
        }

    def order(self, key: str) -> OrderRow | ClosedOrder | None:
        row = self._row(self.journal_table, key)
        assert row is None or isinstance(row, (OrderRow, ClosedOrder))
        return row

    def journal(self, key: str) -> JournalRow | None:
        row = self._row(self.journal_table, key)
        assert row is None or isinstance(row, JournalRow)
        return row

    def balance(self, key: str) -> Balance | None:
        assert self.balance_table is not None
        row = self._row(self.balance_table, key)
        assert row is None or isinstance(row, (Stock, Account))
        return row

    def balances_of(self, owner: str) -> Iterator[Balance]:
        assert self.balance_table is not None
        for key in self._owned.get(owner, ()):
            row = self._overlay[self.balance_table][key]
            assert isinstance(row, (Stock, Account))
            yield row
        for found, data in self.stores[self.balance_table].scan(balance_key(owner, "").encode()):
            key = found.decode()
            if key not in self._overlay[self.balance_table]:
                row = decode(self.balance_table, key, data)
                assert isinstance(row, (Stock, Account))
                yield row

    def policy(self) -> JournalRow | None:
        return self._policy

    def low_watermark(self, partition: int) -> LowWatermark | None:
        return self.low_watermarks.get(partition)

    def entry(self, key: str) -> Row | None:
        return self._row(self.journal_table, key)

    def put(self, puts: Iterable[Put]) -> None:
        """Decided rows: from now on decisions see them."""
        for table, key, row in puts:
            self._overlay[table][key] = row
            if table == self.journal_table and not is_order_key(key):
                self._heed(key, row)
            elif table == self.balance_table:
                self._owned[parts_of_balance(key)[0]].add(key)

    def decided(self, table: str) -> dict[bytes, bytes]:
        """The overlay's rows of a table, encoded."""
        return {key.encode(): row.encode() for key, row in self._overlay[table].items()}

    def clear(self) -> None:
        """The overlay is on disk. Its rows are kept for a while: an order that is under way is asked for again."""
        self._owned.clear()
        for table, rows in self._overlay.items():
            recent = self._recent[table]
            recent.update(rows)
            rows.clear()
            for key in list(islice(recent, max(0, len(recent) - MOST_RECENT))):
                del recent[key]

    def changed(self) -> dict[str, Row]:
        """The journal's part of the overlay, by key."""
        return dict(self._overlay[self.journal_table])

    def _row(self, table: str, key: str) -> Row | None:
        row = self._overlay[table].get(key) or self._recent[table].get(key)
        if row is not None:
            return None if type(row) is Tombstone else row
        data = self.stores[table].get(key.encode())
        if data is None:
            return None
        row = self._recent[table][key] = decode(table, key, data)
        return row

    def _heed(self, key: str, row: Row) -> None:
        """Rows that decisions ask for without a key of their own."""
        if isinstance(row, LowWatermark):
            self.low_watermarks[number_in(key)] = row
        elif isinstance(row, JournalRow) and kind_of(key) is KeyKind.POLICY:
            self._policy = row

    def _find_policy(self) -> JournalRow | None:
        found = self.stores[self.journal_table].scan(KeyKind.POLICY.prefix)
        rows = (decode(self.journal_table, key.decode(), data) for key, data in found)
        policies = (row for row in rows if isinstance(row, JournalRow))
        return max(policies, default=None, key=lambda row: row.version)
