"""Dismissals of dead letters stand beside their replays, with a note."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"


def upgrade() -> None:
    op.rename_table("replays", "settlements")
    op.add_column("settlements", sa.Column("note", sa.Text()))
    op.drop_index("replays_by_letter", "settlements")
    op.create_index("settlements_by_letter", "settlements", ["topic", "partition", "at_offset"])
