"""Restores that trust the wrong row."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from saga_app.core.numbers import Offset
from saga_app.core.rows import version_of
from saga_app.engine.ports import Store
from saga_app.engine.stores import restore
from saga_app.engine.stores.changelog import Changelog, Logged
from saga_app.engine.stores.restore import Restored, Stale
from saga_app.kafka.messages import Outgoing, Place
from tests.simulation import restoring
from tests.simulation.job import StopPoint
from tests.simulation.kafka import Kafka
from tests.simulation.services import BALANCES, JOURNALS
from tests.support.memory import MemoryChangelog, MemoryWorker


def the_last_write_wins_at_a_restore(patch: pytest.MonkeyPatch) -> None:
    """Keep the highest version per key."""

    def last(chunk: Iterable[Logged], store: Store, stale: dict[bytes, Stale]) -> dict[bytes, bytes]:
        return {key: value for _, key, value in chunk}

    patch.setattr(restore, "_highest", last)


def stale_rows_are_not_repaired(patch: pytest.MonkeyPatch) -> None:
    """A new owner rewrites each key whose last written row is not its highest version."""

    def none(changelog: Changelog, restored: Restored) -> list[Outgoing]:
        return []

    patch.setattr(restore, "repair_records", none)


def reached_does_not_stop_before_a_stale_row(patch: pytest.MonkeyPatch) -> None:
    """*Reached* stops before an unrepaired key, or a crash before the repair hides it for ever."""

    def hasty(changelog: Changelog, end: Offset, store: Store, *more: Any) -> Restored:
        stale: dict[bytes, Stale] = {}
        for chunk in changelog.read(store.reached, end):
            store.write(restore._highest(chunk, store, stale), Offset(chunk[-1].offset + 1))
        return Restored(0, {key: each.winner for key, each in stale.items()})

    patch.setattr(restore, "restore", hasty)


def the_disk_beats_the_changelog(patch: pytest.MonkeyPatch) -> None:
    """The highest version wins over the row on disk too."""

    def stubborn(chunk: Iterable[Logged], store: Store, stale: dict[bytes, Stale]) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for _, key, value in chunk:
            if store.get(key) is None and (key not in rows or version_of(rows[key]) < version_of(value)):
                rows[key] = value
        return rows

    patch.setattr(restore, "_highest", stubborn)


def balances_are_read_further_than_the_journal(patch: pytest.MonkeyPatch) -> None:
    """The end of the balances' changelog is taken first, and the journal's after it."""

    def read_to_the_end(self: MemoryWorker, *args: Any, **options: Any) -> None:
        begin(self, *args, **options, ends_first=False)

    async def journals_first(kafka: Kafka, partitions: Sequence[int]) -> dict[Place, Offset]:
        journals = restoring.taken(kafka, JOURNALS, partitions)
        await StopPoint()
        return {**journals, **restoring.taken(kafka, BALANCES, partitions)}

    begin = MemoryWorker.__init__
    patch.setattr(MemoryWorker, "__init__", read_to_the_end)
    patch.setattr(restoring, "ends_of", journals_first)


def balances_may_lag_behind_a_low_watermark(patch: pytest.MonkeyPatch) -> None:
    """The journal's end must have been the same before the end of the balances was taken."""

    def one_look(self: MemoryWorker, logs: Mapping[str, MemoryChangelog]) -> dict[str, Offset]:
        found = {table: log.end() for table, log in logs.items()}
        self.steps.take("restore: ends")
        return {**found, self.decider.journal: logs[self.decider.journal].end()}

    patch.setattr(MemoryWorker, "ends", one_look)


def the_disk_runs_ahead_of_the_changelog(patch: pytest.MonkeyPatch) -> None:
    """Rows that must not be there any more stay on disk until nothing is written in their place."""
    restored = restore.restore

    def hasty(changelog: Changelog, end: Offset, store: Store, *more: Any) -> Restored:
        found = restored(changelog, end, store, *more)
        store.write(found.repairs, store.reached)
        return found

    patch.setattr(restore, "restore", hasty)
