"""The result of a check: for each table the number of compared rows, and the differences. No SQL and no Kafka here."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Table

from saga_app.kafka.messages import located
from saga_app.orderdb import schema
from saga_app.orderdb.copy.batch import Key
from saga_app.orderdb.expected_rows import ExpectedRow


class DifferenceKind(StrEnum):
    """How a row of the database differs from the changelog."""

    MISSING = "missing"
    OLDER = "older"
    NEWER = "newer"
    #: The version is the same, and columns differ.
    CHANGED = "changed"
    #: The changelog has no row of this key, and the order was not evicted.
    UNEXPECTED = "unexpected"


class Difference(NamedTuple):
    """One row that differs. `place` is that of the record in the changelog: topic, partition, offset."""

    table: str
    key: Key
    kind: DifferenceKind
    place: tuple[str, int, int] | None = None
    #: The names of the columns that differ, if the version is the same.
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = "" if self.place is None else f"; {located(self.place[:2], self.place[2])}"
        columns = f" in {', '.join(self.columns)}" if self.columns else ""
        return f"{self.table} {':'.join(map(str, self.key))}: {self.kind}{columns}{where}"

    def as_json(self) -> dict[str, Any]:
        topic, partition, offset = self.place or (None, None, None)
        place = {"topic": topic, "partition": partition, "offset": offset}
        return {"key": list(self.key), "kind": self.kind, **place, "columns": list(self.columns)}


class TableComparison:
    """The figures of one table, and its first differences.

    `unreadable` counts the records of its changelog that no worker wrote; the copy leaves them out too.
    """

    def __init__(self, table: Table, name: str, most: int) -> None:
        self.table = table
        self.name = name
        self.compared = self.behind = self.evicted = self.differences = self.unreadable = 0
        #: The first differences, at most `most`.
        self.first: list[Difference] = []
        self._most = most

    def compare(self, key: Key, row: Mapping[str, Any], expected: ExpectedRow) -> None:
        """Compares a row of the database with the expected one."""
        if expected.behind:
            self.behind += 1
            return
        self.compared += 1
        version = row.get("version", expected.version)
        columns = tuple(_differing(self.table, row, expected.fields or {}))
        if version != expected.version:
            kind = DifferenceKind.OLDER if version < expected.version else DifferenceKind.NEWER
            self._add(Difference(self.name, key, kind, expected.place))
        elif columns:
            self._add(Difference(self.name, key, DifferenceKind.CHANGED, expected.place, columns))

    def missing(self, key: Key, expected: ExpectedRow) -> None:
        """Notes a key without a row in the database."""
        if expected.behind:
            self.behind += 1
            return
        self.compared += 1
        self._add(Difference(self.name, key, DifferenceKind.MISSING, expected.place))

    def unexpected(self, key: Key, *, evicted: bool) -> None:
        """Notes a row of the database without a row in the changelog."""
        if evicted:
            self.evicted += 1
            return
        self.compared += 1
        self._add(Difference(self.name, key, DifferenceKind.UNEXPECTED))

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.name,
            "compared": self.compared,
            "behind": self.behind,
            "evicted": self.evicted,
            "unreadable": self.unreadable,
            "differences": self.differences,
            "first": [each.as_json() for each in self.first],
        }

    def as_lines(self) -> Iterator[str]:
        """As text: one line, and one more for each of the first differences."""
        yield (
            f"{self.name:<21} {self.compared:>10,} compared {self.behind:>10,} behind "
            f"{self.differences:>8,} differences"
        )
        yield from (f"     {each}" for each in self.first)
        if self.differences > len(self.first):
            yield f"     and {self.differences - len(self.first):,} more"

    def _add(self, difference: Difference) -> None:
        self.differences += 1
        if len(self.first) < self._most:
            self.first.append(difference)


def _differing(table: Table, row: Mapping[str, Any], fields: Mapping[str, Any]) -> Iterator[str]:
    """The names of the columns in which a row of the database differs from the expected fields."""
    for column in table.c:
        if column is schema.orders.c.placed_at:
            continue
        value = fields[column.name]
        if isinstance(column.type, schema.Money) and value is not None:
            value = Decimal(value)
        if row[column.name] != value:
            yield column.name
