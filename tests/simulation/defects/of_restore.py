"""Restores that trust the wrong row."""

from collections.abc import Iterable
from typing import Any

import pytest

from saga_app.core.rows import version_of
from saga_app.durable import restore
from saga_app.durable.ports import Outgoing, Shelf
from saga_app.durable.restore import Changelog, Logged, Restored, Stale
from tests.simulation import restoring
from tests.support.memory import Worker


def the_last_write_wins_at_a_restore(patch: pytest.MonkeyPatch) -> None:
    """Keep the highest version per key."""

    def last(chunk: Iterable[Logged], shelf: Shelf, stale: dict[bytes, Stale]) -> dict[bytes, bytes]:
        return {key: value for _, key, value in chunk}

    patch.setattr(restore, "_highest", last)


def stale_rows_are_not_repaired(patch: pytest.MonkeyPatch) -> None:
    """A new owner rewrites each key whose last written row is not its highest version."""

    def none(changelog: Changelog, restored: Restored) -> list[Outgoing]:
        return []

    patch.setattr(restore, "repair_records", none)


def reached_does_not_stop_before_a_stale_row(patch: pytest.MonkeyPatch) -> None:
    """*Reached* stops before an unrepaired key, or a crash before the repair hides it for ever."""

    def hasty(changelog: Changelog, end: int, shelf: Shelf) -> Restored:
        stale: dict[bytes, Stale] = {}
        for chunk in changelog.read(shelf.reached, end):
            shelf.write(restore._highest(chunk, shelf, stale), chunk[-1].offset + 1)
        return Restored(0, {key: each.winner for key, each in stale.items()})

    patch.setattr(restore, "restore", hasty)


def the_disk_beats_the_changelog(patch: pytest.MonkeyPatch) -> None:
    """The highest version wins also over what is on disk: not the disk over everything."""

    def stubborn(chunk: Iterable[Logged], shelf: Shelf, stale: dict[bytes, Stale]) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for _, key, value in chunk:
            if shelf.get(key) is None and (key not in rows or version_of(rows[key]) < version_of(value)):
                rows[key] = value
        return rows

    patch.setattr(restore, "_highest", stubborn)


def balances_are_read_further_than_the_journal(patch: pytest.MonkeyPatch) -> None:
    """The end of the balances' changelog is taken first, and the journal's after it."""

    def read_to_the_end(self: Worker, *args: Any, **options: Any) -> None:
        begin(self, *args, **options, ends_first=False)

    begin = Worker.__init__
    patch.setattr(Worker, "__init__", read_to_the_end)
    patch.setattr(restoring, "ENDS_ARE_TAKEN", tuple(reversed(restoring.ENDS_ARE_TAKEN)))
