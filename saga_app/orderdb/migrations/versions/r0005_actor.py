"""The person who sent a record with a command or a page."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"


def upgrade() -> None:
    op.add_column("order_events", sa.Column("actor", sa.String(100)))
