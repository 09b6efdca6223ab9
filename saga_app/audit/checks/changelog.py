"""A changelog partition as the audit reads it: on the way it notes when each order first went back."""

from collections.abc import Iterator, Sequence
from typing import Final

from saga_app.audit.context import AuditContext
from saga_app.audit.scratch import REBUILT_AT, UNKNOWN_TIME, ScratchStore
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.row_keys import order_in
from saga_app.core.rows import is_closed
from saga_app.engine.stores import changelog
from saga_app.engine.stores.changelog import Logged
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import REBUILT, WRITTEN_AGAIN, Place

#: A row that does not send its order back has one of these near its beginning.
_FORWARD: Final = (b'"state":"DONE"', b'"status":"OPEN"')


class AuditedChangelog:
    """A changelog partition; see `engine.stores.changelog.Changelog`.

    The store `turned` gets Kafka's time of the first row of each order that goes back (`UNKNOWN_TIME` if that row was
    written again), and that of the last row which a rebuild has written. `gaps` counts the offsets that have no record,
    because it was compacted away before any audit read it.
    """

    def __init__(self, context: AuditContext, place: Place, turned: ScratchStore) -> None:
        self.topic, self.partition = place
        self.gaps = 0
        self._context = context
        self._turned = turned

    def end(self) -> Offset:
        return self._context.limits.found[self.topic, self.partition]

    def read(self, start: Offset, end: Offset) -> Iterator[Sequence[Logged]]:
        following, known = start, self._context.limits.start((self.topic, self.partition))
        for chunk in chunks(self._context.settings.kafka, self.topic, self.partition, start, end):
            times: dict[bytes, bytes] = {}
            for each in chunk:
                key, value = each.key(), each.value()
                # The audit of the checkpoint has read the records below `known`, so none is missed there.
                self.gaps += max(0, each.offset() - max(following, known))
                following = each.offset() + 1
                time = str(each.timestamp()[1]).encode()
                marks = {name for name, _ in headers_of(each)}
                if REBUILT in marks:
                    times[REBUILT_AT] = time
                if (
                    value is not None
                    and is_turned(key, value)
                    and key not in times
                    and self._turned.get(key) is None
                ):
                    times[key] = UNKNOWN_TIME if WRITTEN_AGAIN in marks else time
            self._turned.write(times, FIRST)
            yield [changelog.logged(each) for each in chunk]


def is_turned(key: bytes, row: bytes) -> bool:
    """True if the row says that its order goes back; the small row of an evicted order does not say it."""
    head = row[:80]
    return order_in(key) is not None and not is_closed(row) and not any(mark in head for mark in _FORWARD)
