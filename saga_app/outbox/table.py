"""The outbox table: its columns, the statements that make it, and what is wrong with one that is there.

The shop inserts a payload. The relay deletes a row when the broker has its record, or writes into `refused` why no
worker would take it.
"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    FromClause,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    case,
    cast,
    func,
    literal,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

DEFAULT_TABLE: Final = "saga_outbox"
#: Characters of an order id by which rows are compared: an index entry has a limit, and no order id is as long.
_COMPARED: Final = 200
#: By column, its kind in PostgreSQL, and that kind in words.
_KINDS: Final[dict[str, tuple[type[Any], str]]] = {
    "id": (Integer, "a whole number"),
    "created_at": (DateTime, "a time"),
    # Of a json, "\\u0000" in one row is an error of each statement that looks into it.
    "payload": (postgresql.JSONB, "jsonb"),
    "refused": (String, "text"),
}


def outbox_table(name: str, *, is_sqlite: bool) -> Table:
    """The table with this name, which may begin with that of a schema and a point."""
    schema, _, plain = name.rpartition(".")
    table = Table(
        plain,
        MetaData(),
        # SQLite counts by itself for this type only.
        Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
        Column(
            "created_at", DateTime(timezone=True), server_default=func.current_timestamp(), nullable=False
        ),
        Column("payload", JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        Column("refused", Text),
        schema=schema or None,
        sqlite_autoincrement=True,
    )
    refused = table.c.refused.is_not(None)
    Index(
        f"{plain}_refused",
        order_of(table, is_sqlite=is_sqlite),
        postgresql_where=refused,
        sqlite_where=refused,
    )
    return table


def order_of(table: FromClause, *, is_sqlite: bool) -> ColumnElement[str | None]:
    """The order id in a payload, as text; NULL if it has none."""
    payload = table.c.payload
    if is_sqlite:
        # A payload that is no JSON is refused by the relay; here it would be an error of the whole statement.
        found = func.json_extract(payload, "$.order_id")
        return func.substr(cast(case((func.json_valid(payload), found)), Text), 1, _COMPARED)
    field = literal("order_id", literal_execute=True)
    return func.left(payload.op("->>", return_type=Text())(field), literal(_COMPARED, literal_execute=True))


def statements(name: str, *, is_sqlite: bool) -> list[str]:
    """The statements that make the table, for a migration of the shop."""
    table = outbox_table(name, is_sqlite=is_sqlite)
    dialect: Dialect = sqlite.dialect() if is_sqlite else postgresql.dialect()  # type: ignore[no-untyped-call]
    made = [CreateTable(table, if_not_exists=True)]
    made += [CreateIndex(index, if_not_exists=True) for index in table.indexes]  # type: ignore[misc]
    options = {"literal_binds": True}
    texts = [str(each.compile(dialect=dialect, compile_kwargs=options)).strip() for each in made]
    return [
        "\n".join(line.rstrip().replace("\t", "    ") for line in text.splitlines()) + ";" for text in texts
    ]


def faults(columns: dict[str, Any], *, is_sqlite: bool) -> list[str]:
    """A sentence about each column that is missing or of another kind; SQLite's kinds are no promise."""
    found = []
    for name, (kind, words) in _KINDS.items():
        if name not in columns:
            found.append(f"column {name} is missing")
        elif not is_sqlite and not isinstance(columns[name], kind):
            found.append(f"column {name} is {columns[name]}, not {words}")
    return found
