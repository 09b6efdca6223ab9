"""The tables of the order database. Times are Kafka's, in milliseconds since 1970.

A row that can change carries the `version` of the changelog row that it was copied from, and an older row never
replaces a newer one. Rows of different tables come from different topics: each is correct as of some moment, but not
all as of the same.
"""

from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.types import TypeEngine

#: The newest migration: a reader must find it in `alembic_version`.
REVISION: Final = "0013"

metadata: Final = MetaData()

#: Ids are compared byte by byte, whatever the locale of the database: pages and prefixes rely on the order.
Id: Final = String(64).with_variant(String(64, collation="C"), "postgresql")
Word: Final = String(40)


class Money(TypeDecorator[Decimal]):
    """An exact amount: NUMERIC in PostgreSQL, text in SQLite, which would keep a NUMERIC as a float."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return str(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


#: Steps of which somebody may have to know more: a provider has the effect, or said something about it.
_AT_PROVIDER: Final = text("provider IS NOT NULL OR conflict IS NOT NULL")
#: Those of which a provider is asked, or said what cannot be: few at any time. Literals, so that databases see that a
#: question may use the index.
UNSETTLED: Final = text(
    "state NOT IN ('DONE', 'CAPTURED', 'REFUSED', 'UNDONE', 'VOID') OR conflict IS NOT NULL"
)


#: One row, always: the application and the cluster that are copied, and the number of batches. See `copy.sink`.
#: `alive_at` is the time at which the copying process last gave a sign, by its own clock.
source: Final = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("app_id", Text),
    Column("cluster_id", Text),
    Column("batches", BigInteger, nullable=False),
    Column("alive_at", BigInteger),
)
#: By partition of checkout's inbox, the offset from which on no worker had taken a record. All that workers decided
#: before is copied too: see `copy.taken`.
taken: Final = Table(
    "taken",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)
#: The position of the copy in each partition, written together with the rows.
copied: Final = Table(
    "copied",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("topic_id", Text, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
#: An order was placed by the record at `partition` and `placed_offset` of checkout's inbox; `since` is the time of its
#: last change. `placed_at` is that record's time, and until it is copied too the time of the first row that was.
orders: Final = Table(
    "orders",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("status", Word, nullable=False),
    Column("reason", Word),
    Column("step", Word),
    Column("customer_id", Id),
    Column("warehouse", Id, nullable=False),
    Column("country", String(2)),
    Column("currency", String(3), nullable=False),
    Column("amount", Money, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("placed_offset", BigInteger, nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    # The names of its steps, between commas; NULL is the default route.
    Column("route", Text),
    # Seconds, of the order or of the policy; NULL is the default.
    Column("patience", Integer),
    # The parts of the amount that the order states. `shipping` alone would be a step, in lists of orders.
    Column("shipping_amount", Money),
    Column("tax_amount", Money),
    Column("discount_amount", Money),
    # The shop's own; `metadata` is a JSON array of pairs, sorted by name.
    Column("reference", Text),
    Column("metadata", Text),
    Index("orders_by_time", "placed_at", "order_id"),
    Index("orders_by_status", "status", "placed_at", "order_id"),
    Index("orders_by_customer", "customer_id", "placed_at", "order_id"),
    sqlite_with_rowid=False,
)
#: Orders by the minute in which they were placed (minutes since 1970), counted from `orders` by `copy.minutes`.
#: `reason` is empty if there is none. `took` is the class of the time from placing to ending: the milliseconds
#: of its upper bound, or 0 for orders that have not ended.
order_minutes: Final = Table(
    "order_minutes",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("status", Word, primary_key=True),
    Column("reason", Word, primary_key=True),
    Column("took", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
#: Minutes with an order that has changed since they were counted.
changed_minutes: Final = Table(
    "changed_minutes",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
)
order_lines: Final = Table(
    "order_lines",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("sku", Id, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Index("order_lines_by_sku", "sku", "order_id"),
    sqlite_with_rowid=False,
)
#: The lines of an `OrderPlaced` that have a price, for one unit or in all, by its place in checkout's inbox and the
#: number of the line.
order_prices: Final = Table(
    "order_prices",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("at_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("sku", Id, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_price", Money),
    Column("total", Money),
    sqlite_with_rowid=False,
)
#: The row of an order at each step; `done_at` and `undone_at` are offsets in the step's inbox. The last columns are
#: about an effect at a provider: `tries` are answers that brought nothing new, `code` is that of the last answer,
#: `capture_before` says when an authorisation that is not captured runs out.
order_steps: Final = Table(
    "order_steps",
    metadata,
    Column("order_id", Id, primary_key=True),
    Column("service", Word, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Word),
    Column("step", Word),
    Column("done_at", BigInteger),
    Column("undone_at", BigInteger),
    Column("provider", Word),
    Column("reference", Text),
    Column("asked_at", BigInteger),
    Column("tries", Integer),
    Column("code", String(64)),
    Column("conflict", Text),
    Column("capture_before", BigInteger),
    Index(
        "order_steps_at_providers",
        "asked_at",
        "order_id",
        postgresql_where=_AT_PROVIDER,
        sqlite_where=_AT_PROVIDER,
    ),
    Index(
        "order_steps_unsettled",
        "provider",
        "asked_at",
        postgresql_where=UNSETTLED,
        sqlite_where=UNSETTLED,
    ),
    sqlite_with_rowid=False,
)
#: Every record of an inbox that names an order and can be read, repeats too; `traceparent` is that of an `OrderPlaced`.
#: `actor` is the person who sent the record with a command or a page.
order_events: Final = Table(
    "order_events",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("at_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", Id, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("type", Word, nullable=False),
    Column("reason", Word),
    Column("step", Word),
    Column("attempt", BigInteger),
    Column("note", Text),
    Column("traceparent", String(55)),
    Column("actor", String(100)),
    Index("order_events_by_order", "order_id", "time"),
    sqlite_with_rowid=False,
)
stock: Final = Table(
    "stock",
    metadata,
    Column("warehouse", Id, primary_key=True),
    Column("sku", Id, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
accounts: Final = Table(
    "accounts",
    metadata,
    Column("customer_id", Id, primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("deposited", Money, nullable=False),
    Column("balance", Money, nullable=False),
    sqlite_with_rowid=False,
)
#: What a deposit or a delivery brought to a balance, and what a withdrawal or an adjustment changed; `cause` is why.
#: One that was refused changed nothing, and `refused` says why. `owner` and `unit` are a customer and a currency, or a
#: warehouse and a SKU; `at_offset` is the place of its record in the inbox of its service, `time` that of its row in
#: the changelog.
supplies: Final = Table(
    "supplies",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("owner", Id, primary_key=True),
    Column("unit", Id, primary_key=True),
    Column("supply_id", Id, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("at_offset", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("amount", Money, nullable=False),
    Column("cause", Word),
    Column("refused", Word),
    sqlite_with_rowid=False,
)
#: By the place of the original. `headers` is JSON: pairs of name and text.
dead_letters: Final = Table(
    "dead_letters",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("at_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", Text, nullable=False),
    Column("replay_of", Text),
    Index("dead_letters_by_time", "time"),
)
#: A replay of a dead letter, or its dismissal, which has a note; by the place of its marker in `dead_letters`.
settlements: Final = Table(
    "settlements",
    metadata,
    Column("marker_partition", Integer, primary_key=True, autoincrement=False),
    Column("marker_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("at_offset", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("sent_to", Text, nullable=False),
    Column("note", Text),
    Index("settlements_by_letter", "topic", "partition", "at_offset"),
)
#: A record that a command, a page, the API or a provider sent, by its place, with who sent it; and each marker of a
#: dead letter. `about` is an order, a customer, a warehouse, a policy or a dead letter.
actions: Final = Table(
    "actions",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("at_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("type", Word, nullable=False),
    Column("about", Text, nullable=False),
    Column("note", Text),
    Index("actions_by_time", "time", "topic", "partition", "at_offset"),
    Index("actions_by_actor", "actor", "time", "topic", "partition", "at_offset"),
    sqlite_with_rowid=False,
)

#: The tables with content from topics. `order_minutes` is counted from `orders`. `source` and `copied`
#: say what is copied and how far, `taken` how far workers have come.
CONTENT: Final = (
    orders,
    order_lines,
    order_steps,
    order_events,
    order_prices,
    stock,
    accounts,
    supplies,
    dead_letters,
    settlements,
    actions,
)
