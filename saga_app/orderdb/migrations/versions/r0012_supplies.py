"""Withdrawals and adjustments of stock: why, and why one was refused."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0012"
down_revision: Final = "0011"


def upgrade() -> None:
    for name in ("cause", "refused"):
        op.add_column("supplies", sa.Column(name, sa.String(40)))
