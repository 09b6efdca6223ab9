"""The rows that a changelog gives the order database, folded into a scratch store.

The mappers of the copy make the rows, and per key the highest version wins, as in the database. Only records below the
position of the copy count: a key with a record above it is *behind*, since the copy may write its row at any moment.

An evicted order has no row in the changelog any more, but the database keeps its last one. A tombstone or a small row
proves that an order was evicted. Compaction may remove the tombstone; then the low watermark is above the order.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from confluent_kafka import Message
from pydantic_core import from_json, to_json
from sqlalchemy import Table

from saga_app.core.numbers import NEVER
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.row_keys import KeyKind, number_in, order_in
from saga_app.core.rows import Tombstone, is_closed
from saga_app.engine.stores.rocks import RocksStore
from saga_app.kafka.messages import Place
from saga_app.orderdb.copy.batch import UNREADABLE, Fields, Key, RowBatch, RowMapper
from saga_app.orderdb.copy.table_rows import SERVICES

_EVICTED: Final = "evicted"
_DELETED: Final = Tombstone(NEVER).encode()


class ExpectedRow(NamedTuple):
    """The row of a key. `fields` is None if there is no record below the position; times and amounts are JSON.

    `behind` is true if there is a record above the position.
    """

    topic: str
    partition: int
    offset: int
    behind: bool
    fields: Fields | None

    @property
    def version(self) -> int:
        """The version; rows of a table without versions have -1."""
        return -1 if self.fields is None else int(self.fields.get("version", -1))

    @property
    def place(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


class ExpectedRows:
    """The rows of one changelog, which may be of several tables of the database. Memory is bounded by the store's."""

    def __init__(self, table: str, mapper: RowMapper, store: RocksStore) -> None:
        self._table = table
        self._mapper = mapper
        self._store = store
        #: By checkout partition: every order in a segment below is evicted, and its tombstone may be gone.
        self.evicted_below: dict[int, int] = {}
        #: By checkout partition, the offsets of a segment; only the changelog of `orders` says it.
        self.segment_width: dict[int, int] = {}
        #: Records that no worker wrote; the copy leaves them out too.
        self.unreadable = 0

    def add(self, place: Place, messages: Iterable[Message], position: int) -> None:
        """Adds records of one partition of which the database has those below `position`."""
        changed: dict[bytes, bytes] = {}
        for message in messages:
            batch = RowBatch()
            try:
                self._mapper(batch, message)
                self._note_eviction(message, changed)
            except UNREADABLE:
                self.unreadable += 1
                continue
            for table, rows in batch.tables.items():
                for key, fields in rows.items():
                    name = _encoded(table.name, key)
                    known = _decoded(changed.get(name) or self._store.get(name))
                    changed[name] = to_json(_newer(known, place, message.offset(), position, fields))
        self._store.write(changed, self._store.reached)

    def get(self, table: Table, key: Key) -> ExpectedRow | None:
        """The row of this key."""
        return _decoded(self._store.get(_encoded(table.name, key)))

    def forget(self, table: Table, keys: Iterable[Key]) -> None:
        """Removes rows that were compared, so that `rest` gives the others."""
        self._store.write({_encoded(table.name, key): _DELETED for key in keys}, self._store.reached)

    def rest(self, table: Table) -> Iterator[tuple[Key, ExpectedRow]]:
        """The rows of a table that were not removed."""
        for name, data in self._store.scan(_encoded(table.name, ()) + b"\0"):
            row = _decoded(data)
            assert row is not None
            yield tuple(name.decode().split("\0")[1:]), row

    def is_evicted(self, order_id: str, segment: tuple[int, int] | None) -> bool:
        """True if the order was evicted; `segment` is its checkout partition and number, None if not known."""
        if self._store.get(_encoded(_EVICTED, (order_id,))) is not None:
            return True
        below = None if segment is None else self.evicted_below.get(segment[0])
        return segment is not None and below is not None and segment[1] < below

    def _note_eviction(self, message: Any, changed: dict[bytes, bytes]) -> None:
        key, value = message.key(), message.value()
        if self._table not in (*SERVICES, "orders"):
            return
        order_id = order_in(key)
        if order_id is not None and (value is None or is_closed(value)):
            changed[_encoded(_EVICTED, (order_id,))] = b"{}"
        elif value is not None and key.startswith(KeyKind.LOW_WATERMARK.prefix):
            self._raise_low_watermark(number_in(key.decode()), LowWatermark.decode(value))

    def _raise_low_watermark(self, partition: int, row: LowWatermark) -> None:
        # Checkout keeps a small row of an evicted order until the order is purged.
        below = row.evicted_below if row.purged_below is None else row.purged_below
        self.evicted_below[partition] = max(below, self.evicted_below.get(partition, below))
        if row.segment_width is not None:
            self.segment_width[partition] = row.segment_width


def _newer(
    known: ExpectedRow | None, place: Place, offset: int, position: int, fields: Fields
) -> ExpectedRow:
    """The row of a key after one more record of it."""
    if offset >= position:
        return (
            ExpectedRow(*place, offset, behind=True, fields=None)
            if known is None
            else known._replace(behind=True)
        )
    row = ExpectedRow(*place, offset, behind=known is not None and known.behind, fields=fields)
    # The database keeps the row that is there where two have the same version, or none.
    return row if known is None or known.fields is None or row.version > known.version else known


def _encoded(name: str, key: Key) -> bytes:
    return "\0".join((name, *map(str, key))).encode()


def _decoded(data: bytes | None) -> ExpectedRow | None:
    return None if data is None else ExpectedRow(*from_json(data))
