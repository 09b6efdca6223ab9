"""Actions of people, with who sent them; and what is known of effects at providers."""

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
    for column in (
        sa.Column("provider", sa.String(40)),
        sa.Column("reference", sa.Text),
        sa.Column("asked_at", sa.BigInteger),
        sa.Column("tries", sa.Integer),
        sa.Column("code", sa.String(64)),
        sa.Column("conflict", sa.Text),
    ):
        op.add_column("order_steps", column)
    at_provider = sa.text("provider IS NOT NULL OR conflict IS NOT NULL")
    op.create_index(
        "order_steps_at_providers",
        "order_steps",
        ["asked_at", "order_id"],
        postgresql_where=at_provider,
        sqlite_where=at_provider,
    )
    op.create_index("actions_by_time", "actions", ["time", "topic", "partition", "at_offset"])
    op.create_index("actions_by_actor", "actions", ["actor", "time", "topic", "partition", "at_offset"])
