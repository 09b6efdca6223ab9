"""Orders by minute, prices of order lines, and what deposits and deliveries brought."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"

_ID: Final = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
_MONEY: Final = sa.Numeric().with_variant(sa.Text(), "sqlite")
_WORD: Final = sa.String(40)


def upgrade() -> None:
    _minutes()
    op.create_table(
        "order_prices",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sku", _ID, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("unit_price", _MONEY, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "supplies",
        sa.Column("kind", _WORD, primary_key=True),
        sa.Column("owner", _ID, primary_key=True),
        sa.Column("unit", _ID, primary_key=True),
        sa.Column("supply_id", _ID, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("at_offset", sa.BigInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("amount", _MONEY, nullable=False),
        sqlite_with_rowid=False,
    )


def _minutes() -> None:
    op.create_table(
        "order_minutes",
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("status", _WORD, primary_key=True),
        sa.Column("reason", _WORD, primary_key=True),
        sa.Column("took", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "changed_minutes",
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    # Whoever copies next counts what is there.
    op.execute("INSERT INTO changed_minutes (minute) SELECT DISTINCT placed_at / 60000 FROM orders")
