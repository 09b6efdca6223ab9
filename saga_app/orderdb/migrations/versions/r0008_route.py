"""The route of an order that does not take the default one."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0008"
down_revision: Final = "0007"


def upgrade() -> None:
    op.add_column("orders", sa.Column("route", sa.Text))
