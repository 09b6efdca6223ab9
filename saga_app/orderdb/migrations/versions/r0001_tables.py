"""The first tables."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_ID: Final = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
_MONEY: Final = sa.Numeric().with_variant(sa.Text(), "sqlite")
_WORD: Final = sa.String(40)


def upgrade() -> None:
    _progress()
    _orders()
    _balances()
    _letters()


def _progress() -> None:
    op.create_table(
        "source",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("app_id", sa.Text),
        sa.Column("cluster_id", sa.Text),
        sa.Column("batches", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO source (id, batches) VALUES (1, 0)")
    op.create_table(
        "copied",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("topic_id", sa.Text, nullable=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", _ID, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("status", _WORD, nullable=False),
        sa.Column("reason", _WORD),
        sa.Column("step", _WORD),
        sa.Column("customer_id", _ID),
        sa.Column("warehouse", _ID, nullable=False),
        sa.Column("country", sa.String(2)),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", _MONEY, nullable=False),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("placed_offset", sa.BigInteger, nullable=False),
        sa.Column("placed_at", sa.BigInteger, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("orders_by_time", "orders", ["placed_at", "order_id"])
    op.create_index("orders_by_status", "orders", ["status", "placed_at", "order_id"])
    op.create_index("orders_by_customer", "orders", ["customer_id", "placed_at", "order_id"])
    op.create_table(
        "order_lines",
        sa.Column("order_id", _ID, primary_key=True),
        sa.Column("sku", _ID, primary_key=True),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("order_lines_by_sku", "order_lines", ["sku", "order_id"])
    op.create_table(
        "order_steps",
        sa.Column("order_id", _ID, primary_key=True),
        sa.Column("service", _WORD, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("reason", _WORD),
        sa.Column("step", _WORD),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("undone_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "order_events",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("type", _WORD, nullable=False),
        sa.Column("reason", _WORD),
        sa.Column("step", _WORD),
        sa.Column("attempt", sa.BigInteger),
        sa.Column("note", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("order_events_by_order", "order_events", ["order_id", "time"])


def _balances() -> None:
    op.create_table(
        "stock",
        sa.Column("warehouse", _ID, primary_key=True),
        sa.Column("sku", _ID, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("available", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "accounts",
        sa.Column("customer_id", _ID, primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("deposited", _MONEY, nullable=False),
        sa.Column("balance", _MONEY, nullable=False),
        sqlite_with_rowid=False,
    )


def _letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("replay_of", sa.Text),
    )
    op.create_index("dead_letters_by_time", "dead_letters", ["time"])
    op.create_table(
        "replays",
        sa.Column("marker_partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("marker_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("at_offset", sa.BigInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("sent_to", sa.Text, nullable=False),
    )
    op.create_index("replays_by_letter", "replays", ["topic", "partition", "at_offset"])
