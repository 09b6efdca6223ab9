"""A column for the parent span of an order's trace."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    op.add_column("order_events", sa.Column("traceparent", sa.String(55)))
