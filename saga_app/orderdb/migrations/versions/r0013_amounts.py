"""The parts of an order's amount, the totals of its lines, its reference and its metadata."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0013"
down_revision: Final = "0012"

#: Exact: SQLite would keep a NUMERIC as a float.
_MONEY: Final = sa.Numeric().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    for name in ("shipping_amount", "tax_amount", "discount_amount"):
        op.add_column("orders", sa.Column(name, _MONEY))
    for name in ("reference", "metadata"):
        op.add_column("orders", sa.Column(name, sa.Text))
    # SQLite copies the table: it cannot make a column optional.
    with op.batch_alter_table("order_prices", table_kwargs={"sqlite_with_rowid": False}) as prices:
        prices.alter_column("unit_price", existing_type=_MONEY, nullable=True)
        prices.add_column(sa.Column("total", _MONEY))
