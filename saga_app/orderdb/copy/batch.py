"""The rows that many records give, for one write to SQL: of each key only the row that counts."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, String, Table

from saga_app.orderdb import schema
from saga_app.wire import Decoder

LARGEST: Final = 2**63 - 1
_LARGEST_INTEGER: Final = 2**31 - 1
#: Characters that no database keeps: NUL, and halves of surrogate pairs.
_UNFIT: Final = {
    0: "\N{REPLACEMENT CHARACTER}",
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),
}

Fields = dict[str, Any]
Key = tuple[Any, ...]
Rows = dict[Key, Fields]


class RowBatch:
    """The rows of many records. The result is the same as if the records had been written one by one."""

    def __init__(self) -> None:
        self.tables: dict[Table, Rows] = {table: {} for table in schema.CONTENT}
        #: Orders with a row or an `OrderPlaced` in this batch: `placed_at` of their rows may have to be set.
        self.placed: set[str] = set()
        #: Reads the records of inboxes: orders recur within a batch.
        self.decoder = Decoder()

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    def newest(self, table: Table, key: Key, fields: Fields) -> bool:
        """Adds the row unless the batch has a newer one of this key; True if it was added.

        `ValueError` if no database takes it: then no worker wrote it.
        """
        require_fitting(table, fields)
        known = self.tables[table].get(key)
        if known is not None and known["version"] > fields["version"]:
            return False
        self.tables[table][key] = fields
        return True

    def once(self, table: Table, key: Key, fields: Fields) -> None:
        """Adds a row that never changes: an event, a marker."""
        self.tables[table][key] = fields

    def earliest(self, table: Table, key: Key, fields: Fields) -> None:
        """Adds a dead letter; of two copies, which a worker writes that is killed in between, the first counts."""
        known = self.tables[table].get(key)
        if known is None or known["time"] > fields["time"]:
            self.tables[table][key] = fields


#: Adds the rows of one message to the batch. Raises one of `UNREADABLE` for a record that no worker wrote.
RowMapper = Callable[[RowBatch, Any], None]
UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)


def require_fitting(table: Table, fields: Fields) -> None:
    """`ValueError` for a value that its column does not take: it would stop the copy for good."""
    for column in table.columns:
        value, kind = fields.get(column.name), column.type
        if value is None:
            fits = column.nullable or column.name not in fields
        elif isinstance(kind, Integer):
            most = LARGEST if isinstance(kind, BigInteger) else _LARGEST_INTEGER
            fits = type(value) is int and -most <= value <= most
        elif isinstance(kind, String):
            fits = (
                isinstance(value, str) and fit(value) == value and len(value) <= (kind.length or len(value))
            )
        else:
            fits = not isinstance(value, Decimal) or value.is_finite()
        if not fits:
            raise ValueError(f"{column.name} is nothing that the database takes")


def fit(text: str) -> str:
    """Text that every database takes."""
    return text.translate(_UNFIT)


def word(value: str | None) -> str | None:
    """A member of an enum as plain text: database drivers treat a subclass of `str` more slowly."""
    return None if value is None else str(value)


def fitting(number: int) -> int:
    """A number that every database takes."""
    return min(number, LARGEST)
