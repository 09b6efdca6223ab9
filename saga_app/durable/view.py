"""The state of one inbox partition as decisions see it: what this round decided, then what the store holds."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from saga_app.core.decision import Put
from saga_app.core.rows import (
    Account,
    Balance,
    GoneOrder,
    Horizon,
    JournalRow,
    Nothing,
    OrderRow,
    Row,
    Stock,
    decode,
)
from saga_app.durable.ports import Shelf

#: Rows that are kept decoded, per partition of an inbox.
MOST_RECENT: Final = 2_000


class View:
    """Rows of one partition; see `core.decision.Rows`. The overlay holds what is decided and not yet on disk."""

    def __init__(self, journal: str, balances: str | None, shelves: Mapping[str, Shelf]) -> None:
        self.journal_table = journal
        self.balance_table = balances
        self.shelves = shelves
        self._overlay: dict[tuple[str, str], Row] = {}
        self._recent: dict[tuple[str, str], Row] = {}
        self._policy = self._find_policy()
        self.horizons = {
            int(key.rpartition(b":")[2]): Horizon.decode(data)
            for key, data in self.shelves[journal].scan(b"horizon:")
        }

    def order(self, key: str) -> OrderRow | GoneOrder | None:
        row = self._row(self.journal_table, key)
        assert row is None or isinstance(row, OrderRow | GoneOrder)
        return row

    def journal(self, key: str) -> JournalRow | None:
        row = self._row(self.journal_table, key)
        assert row is None or isinstance(row, JournalRow)
        return row

    def balance(self, key: str) -> Balance | None:
        assert self.balance_table is not None
        row = self._row(self.balance_table, key)
        assert row is None or isinstance(row, Account | Stock)
        return row

    def policy(self) -> JournalRow | None:
        return self._policy

    def horizon(self, partition: int) -> Horizon | None:
        return self.horizons.get(partition)

    def entry(self, key: str) -> Row | None:
        return self._row(self.journal_table, key)

    def put(self, puts: Iterable[Put]) -> None:
        """Decided rows: from now on decisions see them."""
        for table, key, row in puts:
            self._overlay[table, key] = row
            if key.startswith("policy:") and isinstance(row, JournalRow):
                self._policy = row
            elif isinstance(row, Horizon):
                self.horizons[int(key.rpartition(":")[2])] = row

    def decided(self, table: str) -> dict[bytes, bytes]:
        """The overlay's rows of a table, encoded."""
        return {key.encode(): row.encode() for (name, key), row in self._overlay.items() if name == table}

    def clear(self) -> None:
        """The overlay is on disk. Its rows are kept for a while: an order that is under way is asked for again."""
        self._recent.update(self._overlay)
        self._overlay.clear()
        for place in list(islice(self._recent, max(0, len(self._recent) - MOST_RECENT))):
            del self._recent[place]

    @property
    def dirty(self) -> bool:
        """Whether something is decided that is not yet on disk."""
        return bool(self._overlay)

    def changed(self) -> dict[tuple[str, str], Row]:
        """The overlay, by table and key."""
        return dict(self._overlay)

    def _row(self, table: str, key: str) -> Row | None:
        row = self._overlay.get((table, key)) or self._recent.get((table, key))
        if row is not None:
            return None if type(row) is Nothing else row
        data = self.shelves[table].get(key.encode())
        return None if data is None else decode(table, key, data)

    def _find_policy(self) -> JournalRow | None:
        found = self.shelves[self.journal_table].scan(b"policy:")
        return max((JournalRow.decode(data) for _, data in found), default=None, key=lambda row: row.version)
