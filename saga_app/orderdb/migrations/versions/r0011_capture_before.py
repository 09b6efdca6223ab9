"""When an authorisation that is not captured runs out, in milliseconds."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0011"
down_revision: Final = "0010"


def upgrade() -> None:
    op.add_column("order_steps", sa.Column("capture_before", sa.BigInteger))
