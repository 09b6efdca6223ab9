"""Actions of people: records that a command, a page or the API sent, with who sent them."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("actions_by_time", "actions", ["time", "topic", "partition", "at_offset"])
    op.create_index("actions_by_actor", "actions", ["actor", "time", "topic", "partition", "at_offset"])
