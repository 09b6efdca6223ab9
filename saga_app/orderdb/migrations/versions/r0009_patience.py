"""How long an order may take before it is given up, in seconds."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0009"
down_revision: Final = "0008"


def upgrade() -> None:
    op.add_column("orders", sa.Column("patience", sa.Integer))
