"""An index of the effects that providers are asked for: the health strip counts them every second."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0010"
down_revision: Final = "0009"


def upgrade() -> None:
    unsettled = sa.text(
        "state NOT IN ('DONE', 'CAPTURED', 'REFUSED', 'UNDONE', 'VOID') OR conflict IS NOT NULL"
    )
    op.create_index(
        "order_steps_unsettled",
        "order_steps",
        ["provider", "asked_at"],
        postgresql_where=unsettled,
        sqlite_where=unsettled,
    )
