"""What many records say, as rows for SQL: of each key only the one that counts."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Table

from saga_app.orderdb import schema
from saga_app.wire import Decoder

LARGEST: Final = 2**63 - 1
#: What no database keeps: NUL, and halves of characters.
_UNFIT: Final = {
    0: "\N{REPLACEMENT CHARACTER}",
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),
}

Fields = dict[str, Any]
Key = tuple[Any, ...]
Rows = dict[Key, Fields]


class Entries:
    """The rows of many records: of each key only the one that counts, as if all had been written one by one."""

    def __init__(self) -> None:
        self.tables: dict[Table, Rows] = {table: {} for table in schema.CONTENT}
        #: Orders whose row or placing is among them: the time of the placing belongs into the row.
        self.placed: set[str] = set()
        #: Reads the records of inboxes: orders recur within a batch.
        self.decoder = Decoder()

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    def newest(self, table: Table, key: Key, fields: Fields) -> bool:
        """The row, unless a newer one of this key is here; whether it was taken."""
        known = self.tables[table].get(key)
        if known is not None and known["version"] > fields["version"]:
            return False
        self.tables[table][key] = fields
        return True

    def once(self, table: Table, key: Key, fields: Fields) -> None:
        """What is never different: an event, a marker."""
        self.tables[table][key] = fields

    def earliest(self, table: Table, key: Key, fields: Fields) -> None:
        """A worker that was killed may have written a dead letter twice."""
        known = self.tables[table].get(key)
        if known is None or known["time"] > fields["time"]:
            self.tables[table][key] = fields


#: Adds what a message says; raises `ValueError` and the like where it is nothing of ours.
Reader = Callable[[Entries, Any], None]


def fit(text: str) -> str:
    """Text that every database takes."""
    return text.translate(_UNFIT)


def word(value: str | None) -> str | None:
    """A member of an enum as plain text: drivers ask no questions then."""
    return None if value is None else str(value)


def fitting(number: int) -> int:
    """A number that every database takes."""
    return min(number, LARGEST)
