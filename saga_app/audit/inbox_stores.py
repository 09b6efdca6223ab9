"""The scratch stores of one inbox partition: its tables, and what later checks need; a checkpoint may fill them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from saga_app.audit.checkpoints import files
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Findings
from saga_app.audit.refold import RecordOutcome
from saga_app.audit.scratch import (
    ASKED,
    COMMITTED,
    EVICTED,
    FOLDED,
    REMOVED,
    Item,
    ScratchStore,
    Stores,
    order_and_segment,
)
from saga_app.core.decider import Service
from saga_app.core.numbers import FIRST, NEVER, Offset
from saga_app.core.rows import ClosedOrder, Row, Tombstone, decode, version_of
from saga_app.kafka.messages import Message, Place

#: The name of the file in a checkpoint, and its kinds beside the rows of stores: sums, and the last record.
INBOX: Final = "inbox"
SUMS: Final = "sums"
LAST: Final = "last"

#: The rows of other kinds in the file, by kind.
Kept = Mapping[str, Mapping[bytes, bytes]]


class InboxStores:
    """`tables` are the stores of the service's tables; the refold writes them."""

    def __init__(self, context: AuditContext, service: Service, place: Place, stores: Stores) -> None:
        self.tables = {table: stores.store(FOLDED, (table, place[1])) for table in service.tables}
        self._context = context
        self._place = place
        self._asked = stores.store(ASKED, place)
        self._first_asked: dict[bytes, bytes] = {}
        self._evicted = stores.store(EVICTED, place)
        self._committed = {table: stores.store(COMMITTED, (table, place[1])) for table in service.tables}
        # Of the journal alone: balances are never removed.
        self._journal = service.decider.journal
        self._removed = stores.store(REMOVED, (service.decider.journal, place[1]))

    def resume(self, findings: Findings) -> Kept:
        """Fills the stores from the checkpoint, if there is one; returns the file's other rows."""
        if self._context.base is None:
            return {}
        path = files.part(self._context.base, INBOX, self._place)
        before = {_before(table): store for table, store in self._committed.items()}
        kept = files.load(path, {**self.tables, **before, ASKED: self._asked, REMOVED: self._removed})
        files.resume_counts(kept, findings)
        self._forget_overtaken()
        return kept

    def save(self, findings: Findings, sums: Iterable[Item], last: Iterable[Item]) -> None:
        """Writes the file of the next checkpoint, if there is to be one."""
        if self._context.target is None:
            return
        rows = {table: store.scan() for table, store in self.tables.items()}
        before = {_before(table): self._recently_changed(table) for table in self.tables}
        kept = {
            **rows,
            **before,
            ASKED: self._asked.scan(),
            SUMS: sums,
            LAST: last,
            REMOVED: self._recently_removed(),
        }
        path = files.part(self._context.target, INBOX, self._place)
        files.write(path, {**kept, **files.counts(findings)})

    def note_undo(self, order_id: str, message: Message) -> None:
        """Notes when the service was first asked to undo this order."""
        key = order_id.encode()
        if key not in self._first_asked and self._asked.get(key) is None:
            self._first_asked[key] = b"%d %d" % (message.time, message.offset)

    def flush(self) -> None:
        """Writes what `note_undo` has noted."""
        self._asked.write(self._first_asked, FIRST)
        self._first_asked.clear()

    def keep_committed(self, table: str, keys: Iterable[bytes]) -> None:
        """Keeps these rows, which change behind the committed offset: a changelog must have them, or later ones."""
        committed = self._context.limits.committed[self._place]
        found = ((key, self.tables[table].get(key)) for key in keys)
        rows = {key: row for key, row in found if row is not None and version_of(row) < committed}
        self._committed[table].write(rows, FIRST)

    def forget_committed(self, table: str, keys: Iterable[bytes]) -> None:
        """Forgets what the checkpoint has kept of these rows, as a change of them is committed now."""
        kept = self._committed[table]
        self._forget(kept, [key for key in keys if kept.get(key) is not None])

    def keep_evicted(self, outcome: RecordOutcome) -> None:
        """Keeps evicted rows, to look at them across the services, and notes which keys have no row any more."""
        rows = {
            order_and_segment(order_id, row.segment): row.encode()
            for order_id, row in outcome.evicted.items()
            if not isinstance(row, ClosedOrder)
        }
        if rows:
            self._evicted.write(rows, FIRST)
        puts = outcome.decision.others if outcome.decision else ()
        removed = [put.key for put in puts if isinstance(put.row, Tombstone)]
        if removed and outcome.message.offset >= self._context.limits.committed[self._place]:
            # A store deletes the key of a `Tombstone`, so another row stands for it here.
            since = b'{"version":%d,"removed":true}' % outcome.message.offset
            self._removed.write({key.encode(): since for key in removed}, FIRST)

    def _forget_overtaken(self) -> None:
        """Forgets kept rows whose change the checkpoint has too, and which the group has committed since."""
        committed = self._context.limits.committed[self._place]
        for table, kept in self._committed.items():
            removed = self._removed if table == self._journal else None
            self._forget(
                kept,
                [
                    key
                    for key, _ in kept.scan()
                    if _is_below(self.tables[table].get(key), committed)
                    or (removed is not None and _is_below(removed.get(key), committed))
                ],
            )

    def _forget(self, store: ScratchStore, keys: Iterable[bytes]) -> None:
        store.write(dict.fromkeys(keys, Tombstone(NEVER).encode()), FIRST)

    def _recently_changed(self, table: str) -> Iterator[Item]:
        """The rows behind which a changelog may still be."""
        committed = self._context.limits.committed[self._place]
        return (
            (key, row)
            for key, row in self._committed[table].scan()
            if (now := self.tables[table].get(key)) is None or version_of(now) >= committed
        )

    def _recently_removed(self) -> Iterator[Item]:
        """The removed rows that a changelog may still have."""
        committed = self._context.limits.committed[self._place]
        return ((key, row) for key, row in self._removed.scan() if version_of(row) >= committed)


def _is_below(row: bytes | None, committed: Offset) -> bool:
    return row is not None and version_of(row) < committed


def _before(table: str) -> str:
    """The kind of the committed rows of a table in the file of a checkpoint."""
    return f"{COMMITTED} {table}"


def rows_of(stores: Mapping[str, ScratchStore], table: str) -> Iterator[tuple[str, Row]]:
    """All rows of a table, decoded."""
    for data, row in stores[table].scan():
        key = data.decode()
        yield key, decode(table, key, row)
