"""The note beside a committed offset: how far the changelogs reach, and of which inbox the offset is.

Kafka keeps a text with each committed offset: its note. So a worker with an empty disk also knows which rows there
must be.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from saga_app.core.numbers import Offset
from saga_app.engine.stores.extent import Demand, Extent, Term

VERSION: Final = 1
#: The note while changelogs are rebuilt.
REBUILDING: Final = "rebuilding"
#: The command that must run again: a worker that finds such a note does not start.
UNFINISHED: Final = {REBUILDING: "saga rebuild --from-inboxes"}
#: The leader epoch of a record, where it is not known.
UNKNOWN_EPOCH: Final = -1


class InboxMark(NamedTuple):
    """The incarnation of an inbox, and the leader epoch in which the last record was read."""

    topic_id: str
    epoch: int = UNKNOWN_EPOCH


class CommitNote(NamedTuple):
    """Written with the offset of one inbox partition; `tables` are those of its service."""

    inbox: InboxMark | None
    tables: Mapping[str, Demand]

    def encode(self) -> str:
        tables = {
            table: [*extent[:3], is_lost, terms] for table, (extent, is_lost, terms) in self.tables.items()
        }
        fields = {"v": VERSION, "inbox": self.inbox, "tables": tables}
        return json.dumps(fields, separators=(",", ":"))


def note_in(note: str) -> CommitNote | None:
    """The note, read; None if it is not of this version, as in commits of earlier ones."""
    try:
        fields = json.loads(note)
        if fields["v"] != VERSION:
            return None
        tables = {table: _demand(*values) for table, values in fields["tables"].items()}
        return CommitNote(None if fields["inbox"] is None else InboxMark(*fields["inbox"]), tables)
    except (ValueError, KeyError, TypeError):
        return None


def _demand(
    topic_id: str, first: int, reached: int, is_lost: bool, names: Iterable[tuple[str, int]] = ()
) -> Demand:
    terms = tuple(Term(name, Offset(since)) for name, since in names)
    return Demand(Extent(topic_id, Offset(first), Offset(reached)), bool(is_lost), terms)
