"""A changelog partition as the audit reads it: on the way it notes when each order first went back."""

from collections.abc import Iterator, Sequence
from typing import Final

from confluent_kafka import Message

from saga_app import topics
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Breach, Findings
from saga_app.audit.scratch import REBUILT_AT, UNKNOWN_TIME, ScratchStore
from saga_app.core.errors import ForeignRow
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.row_keys import order_in
from saga_app.core.rows import ASKED_STATES, STANDING_STATES, decode, is_closed, is_tombstone
from saga_app.engine.stores import changelog
from saga_app.engine.stores.changelog import Logged, OnForeign
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import REBUILT, WRITTEN_AGAIN, Place

#: A row that does not send its order back has one of these near its beginning.
#: While a provider is asked, nothing goes anywhere: neither PREVENTING nor UNDOING is a way back yet.
_FORWARD: Final = (
    *(b'"state":"%s"' % state.encode() for state in sorted(STANDING_STATES | ASKED_STATES)),
    b'"status":"OPEN"',
)


class AuditedChangelog:
    """A changelog partition; see `engine.stores.changelog.Changelog`.

    The store `turned` gets Kafka's time of the first row of each order that goes back (`UNKNOWN_TIME` if that row was
    written again), and that of the last row which a rebuild has written. `gaps` counts the offsets that have no record,
    because it was compacted away before any audit read it.
    """

    def __init__(
        self, context: AuditContext, inbox: Place, table: str, turned: ScratchStore, findings: Findings
    ) -> None:
        self.topic, self.partition = topics.changelog(context.settings.app_id, table), inbox[1]
        self._inbox = inbox
        self._table = table
        self._on_foreign = foreign_rows(findings)
        self.gaps = 0
        self._context = context
        self._turned = turned

    def end(self) -> Offset:
        return self._context.limits.found[self.topic, self.partition]

    def read(self, start: Offset, end: Offset) -> Iterator[Sequence[Logged]]:
        following, known = start, self._context.limits.start((self.topic, self.partition))
        for chunk in chunks(self._context.settings.kafka, self.topic, self.partition, start, end):
            rows = [*self._rows(chunk)]
            written = {row.offset: row for row in rows}
            times: dict[bytes, bytes] = {}
            for each in chunk:
                # The audit of the checkpoint has read the records below `known`, so none is missed there.
                self.gaps += max(0, each.offset() - max(following, known))
                following = each.offset() + 1
                time = str(each.timestamp()[1]).encode()
                marks = {name for name, _ in headers_of(each)}
                if REBUILT in marks:
                    times[REBUILT_AT] = time
                row = written.get(Offset(each.offset()))
                if row is None or is_tombstone(row.value) or row.key in times:
                    continue
                if is_turned(row.key, row.value) and self._turned.get(row.key) is None:
                    times[row.key] = UNKNOWN_TIME if WRITTEN_AGAIN in marks else time
            self._turned.write(times, FIRST)
            if rows:
                yield rows

    def _rows(self, chunk: Sequence[Message]) -> Iterator[Logged]:
        place, below = (self.topic, self.partition), self._context.limits.end[self._inbox]
        for each in changelog.readable(place, chunk, self._on_foreign, below):
            try:
                if not is_tombstone(each.value):
                    decode(self._table, each.key.decode(), each.value)
                yield each
            except ForeignRow as foreign:
                self._on_foreign(place, each.offset, str(foreign))


def foreign_rows(findings: Findings) -> OnForeign:
    """Notes each as a breach of I7; the audit goes on with the other rows."""

    def note(place: Place, offset: Offset, why: str) -> None:
        findings.breach(Breach("I7", f"no worker wrote this row: {why}", place, offset))

    return note


def is_turned(key: bytes, row: bytes) -> bool:
    """True if the row says that its order goes back; the small row of an evicted order does not say it."""
    head = row[:80]
    return order_in(key) is not None and not is_closed(row) and not any(mark in head for mark in _FORWARD)
