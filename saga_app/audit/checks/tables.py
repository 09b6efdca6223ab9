"""I7 and I9: the refold, the changelog and the stores of a stopped worker agree on every row of a table."""

from collections.abc import Sequence
from pathlib import Path

from saga_app import topics
from saga_app.audit.checkpoints import files
from saga_app.audit.checks.changelog import AuditedChangelog
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.audit.scratch import (
    COMMITTED,
    FOLDED,
    GAPS,
    LOGGED,
    REACHED,
    REMOVED,
    TURNED,
    Stores,
    side_by_side,
)
from saga_app.core.numbers import FIRST
from saga_app.core.retention.low_watermarks import LowWatermarks
from saga_app.core.row_keys import KeyKind, order_in
from saga_app.core.rows import version_of
from saga_app.engine.stores import changelog
from saga_app.engine.stores.errors import DiskFailed, StoreDamaged
from saga_app.engine.stores.restore import repaired, restore
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka.messages import Place


class TableAudit:
    """The audit of one table in one partition."""

    def __init__(self, context: AuditContext, inbox: str, table: str, partition: int, stores: Stores) -> None:
        self.context = context
        self.inbox: Place = (inbox, partition)
        self.place: Place = (table, partition)
        self.changelog: Place = (topics.changelog(context.settings.app_id, table), partition)
        self.stores = stores
        self.findings = Findings()

    def check(self, data_dirs: Sequence[Path] = ()) -> Findings:
        """Restores the table from its changelog and compares it with the refold and with stores of workers."""
        turned = self.stores.store(TURNED, self.place)
        if self.context.base is not None:
            files.load(files.part(self.context.base, TURNED, self.place), {TURNED: turned})
        log = AuditedChangelog(self.context, self.inbox, self.place[0], turned, self.findings)
        logged = self.stores.store(LOGGED, self.place)
        restored = restore(log, log.end(), logged)
        # Its next owner writes the repairs, so the table is compared with them.
        repaired(logged, log.end(), restored.repairs, ())
        if log.gaps:
            turned.write({GAPS: b"1"}, FIRST)
        if self.context.target is not None:
            files.write(files.part(self.context.target, TURNED, self.place), {TURNED: turned.scan()})
        self.findings.count("I7", "changelog rows", restored.rows)
        self.findings.count("I7", "stale rows to be written again", len(restored.repairs))
        if self.context.limits.is_whole(self.inbox):
            self._compare_fold()
        for number, folder in enumerate(data_dirs):
            try:
                self._compare_store(folder, f"{REACHED}{number}")
            except (StoreDamaged, DiskFailed) as error:
                # Nothing is lost: the worker rebuilds it from the changelog when it reads the same.
                self.findings.claim_less("I7", f"a store in {folder} could not be read: {error}")
        return self.findings

    def _compare_fold(self) -> None:
        folded, logged = self.stores.store(FOLDED, self.place), self.stores.store(LOGGED, self.place)
        committed = self.context.limits.committed[self.inbox]
        removed, before = self.stores.store(REMOVED, self.place), self.stores.store(COMMITTED, self.place)
        for key, mine, other in side_by_side(folded.scan(), logged.scan()):
            if mine == other:
                self.findings.count("I7", "rows")
            elif (
                mine is None and (since := removed.get(key)) and version_of(other or b"") < version_of(since)
            ):
                self._compare_committed(key, before.get(key), other)
            elif mine is None or (other is not None and version_of(other) > version_of(mine)):
                self._broken("I7", key, other, "the changelog has a row that the inbox does not give")
            elif other is not None and version_of(other) == version_of(mine):
                self._broken(
                    "I7",
                    key,
                    mine,
                    f"the changelog has another row of this version: {difference(mine, other)}",
                )
            elif version_of(mine) < committed:
                self._lacking(key, mine)
            else:
                # Where the row was removed meanwhile, the changelog may have none.
                row = None if removed.get(key) and other is None else before.get(key)
                self._compare_committed(key, row, other)

    def _compare_committed(self, key: bytes, row: bytes | None, other: bytes | None) -> None:
        """The row changed since the commit: the changelog has it as it was committed, if it was, or is further."""
        if row is None:
            self.findings.count("I7", "rows under way")
        elif other is None or version_of(other) < version_of(row):
            self._lacking(key, row)
        elif version_of(other) == version_of(row) and other != row:
            what = f"the changelog has another row of this version: {difference(row, other)}"
            self._broken("I7", key, row, what)
        else:
            self.findings.count("I7", "rows under way")

    def _lacking(self, key: bytes, row: bytes) -> None:
        self._broken("I9", key, row, "the changelog lacks this row, though its record is committed")

    def _compare_store(self, folder: Path, kind: str) -> None:
        path = folder / "tables" / f"{self.place[0]}-{self.place[1]}.db"
        if not path.is_dir():
            return
        store = RocksStore(path, Memory(), read_only=True)
        try:
            # Rows beyond what the store claims to have read may be there too, after a gap.
            mark = self.stores.store(kind, self.place)
            end = min(store.reached, self.context.limits.found[self.changelog])
            # The comparison with the refold has named each row that is none.
            log = changelog.KafkaChangelog(
                self.context.settings.kafka, *self.changelog, end, changelog.leave_out
            )
            restore(log, end, mark)
            logged = self.stores.store(LOGGED, self.place)
            low_watermarks = LowWatermarks(logged.scan(KeyKind.LOW_WATERMARK.prefix))
            for key, mine, other in side_by_side(store.scan(), mark.scan()):
                # Rows that were removed since may be there on one side only.
                if mine == other or low_watermarks.is_below(key, mine or other or b""):
                    self.findings.count("I7", "rows in stores")
                elif mine is None or (other is not None and version_of(mine) < version_of(other)):
                    self._broken(
                        "I7",
                        key,
                        other,
                        f"{path} lacks this row, though it has read up to {store.reached}",
                        Mending.DISK,
                    )
                elif mine == (known := logged.get(key)) or (known and version_of(mine) < version_of(known)):
                    self.findings.count("I7", "rows in stores")
                else:
                    self._broken(
                        "I7", key, mine, f"{path} has a row that the changelog does not have", Mending.DISK
                    )
        finally:
            store.close()

    def _broken(
        self, invariant: str, key: bytes, row: bytes | None, what: str, mending: Mending = Mending.REBUILD
    ) -> None:
        version = None if row is None else version_of(row)
        self.findings.breach(
            Breach(
                invariant,
                f"{self.place[0]} {key.decode()}: {what}",
                self.inbox,
                version,
                order_in(key),
                mending=mending,
            )
        )


def difference(mine: bytes, other: bytes) -> str:
    """Shows two rows around the first byte at which they differ."""
    at = next((at for at, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1]), 0)
    shown = slice(max(0, at - 30), at + 40)
    return " against ".join(f"...{row[shown].decode(errors='replace')}" for row in (mine, other))
