"""Every topic that is copied, and how its records are read."""

from collections.abc import Mapping

from saga_app import topics
from saga_app.orderdb.copy.batch import RowMapper
from saga_app.orderdb.copy.event_rows import event, letter_or_marker
from saga_app.orderdb.copy.table_rows import STATES


def row_mappers(app_id: str) -> Mapping[str, RowMapper]:
    """By topic."""
    return {
        **{topics.changelog(app_id, table): read for table, read in STATES.items()},
        **dict.fromkeys(topics.INBOXES, event),
        topics.DEAD_LETTERS: letter_or_marker,
    }
