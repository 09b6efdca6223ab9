"""Signs of the copying process, and how far workers have taken checkout's inbox."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    op.add_column("source", sa.Column("alive_at", sa.BigInteger))
    op.create_table(
        "taken",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
    )
