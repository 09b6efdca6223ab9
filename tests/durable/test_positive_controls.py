"""Positive controls: defects that we plant, each of which the property of `test_crashes` must catch.

A property that no defect can break proves nothing. Each control names the sentence of the design that it breaks.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import Phase, find, settings

from saga_app import topics
from saga_app.core.decision import At, Decision, Put, Rows, Verdict
from saga_app.core.errors import RowsMissing
from saga_app.core.moves import Moves, inverse, moved
from saga_app.core.participant import Participant
from saga_app.core.records import Record, Slip, Undo
from saga_app.core.rows import State, version_of
from saga_app.durable import restore
from saga_app.durable.ports import Outgoing, Shelf
from saga_app.durable.restore import Changelog, Logged, Restored
from saga_app.durable.round import Round, Span
from tests.support.plan import TRACES, Plan, check, plans
from tests.support.profiles import examples

Plant = Callable[[pytest.MonkeyPatch], None]
decide = Participant.decide


def publish_before_journal(patch: pytest.MonkeyPatch) -> None:
    """What has been published follows from a decision that is durable."""

    async def make_durable(self: Round, spans: list[Span], sends: list[Outgoing]) -> None:
        touched, generation = sorted({span.partition for span in spans}), spans[0].generation
        rows, balances = self._rows(touched, self.fold.journal), self._rows(touched, self.fold.balances)
        reached = await self._write(self.publisher, balances, sends, generation)
        reached.update(await self._write(self.journal, rows, (), generation))
        _finish(self, spans, rows | balances, reached)

    patch.setattr(Round, "_make_durable", make_durable)


def acknowledge_before_publish(patch: pytest.MonkeyPatch) -> None:
    """The committed offset never runs ahead of anything."""

    async def make_durable(self: Round, spans: list[Span], sends: list[Outgoing]) -> None:
        touched, generation = sorted({span.partition for span in spans}), spans[0].generation
        rows, balances = self._rows(touched, self.fold.journal), self._rows(touched, self.fold.balances)
        reached = await self._write(self.journal, rows, (), generation)
        for span in spans:
            self.inbox.done(*span)
        reached.update(await self._write(self.publisher, balances, sends, generation))
        self._apply(spans, rows | balances, reached)

    patch.setattr(Round, "_make_durable", make_durable)


def apply_before_journal(patch: pytest.MonkeyPatch) -> None:
    """The disk never runs ahead of the changelog."""

    async def make_durable(self: Round, spans: list[Span], sends: list[Outgoing]) -> None:
        touched, generation = sorted({span.partition for span in spans}), spans[0].generation
        rows, balances = self._rows(touched, self.fold.journal), self._rows(touched, self.fold.balances)
        self._apply(spans, rows | balances, {})
        await self._write(self.journal, rows, (), generation)
        await self._write(self.publisher, balances, sends, generation)
        for span in spans:
            self.inbox.done(*span)

    patch.setattr(Round, "_make_durable", make_durable)


def _finish(self: Round, spans: list[Span], rows: Any, reached: Any) -> None:
    self._apply(spans, rows, reached)
    for span in spans:
        self.inbox.done(*span)


def a_repeat_raises_the_version(patch: pytest.MonkeyPatch) -> None:
    """A row's version is the offset of the last record that changed it."""

    def raising(self: Participant, record: Record, at: At, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        if decision.verdict is Verdict.REPEATED and isinstance(record, Slip):
            row = rows.journal(record.order_id)
            assert row is not None
            if row.version < at.offset:
                put = Put(self.journal, record.order_id, row._replace(version=at.offset))
                return decision._replace(journal=put)
        return decision

    patch.setattr(Participant, "decide", raising)


def a_repeat_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    """A repeat sends the recorded outcome again."""

    def silent(self: Participant, record: Record, at: At, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        return decision._replace(sends=()) if decision.verdict is Verdict.REPEATED else decision

    patch.setattr(Participant, "decide", silent)


def a_replay_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    """The same, but only where the record is older than the row: seen by crashes alone."""

    def silent(self: Participant, record: Record, at: At, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        row = rows.journal(record.order_id) if isinstance(record, Slip) else None
        return decision._replace(sends=()) if row is not None and row.version >= at.offset else decision

    patch.setattr(Participant, "decide", silent)


def moves_are_applied_per_record_on_a_replay(patch: pytest.MonkeyPatch) -> None:
    """Moves only where n = `done_at`, their inverse only where n = `undone_at`."""

    def careless(self: Participant, record: Record, at: At, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        row = rows.journal(record.order_id) if isinstance(record, Slip) else None
        if row is None or row.version < at.offset:
            return decision
        moves: Moves = row.moves or {}
        if isinstance(record, Undo):
            moves = inverse(moves)
        return decision._replace(balances=moved(self.balances, moves, at, rows, replay=True))

    patch.setattr(Participant, "decide", careless)


def moves_are_not_applied_on_a_replay(patch: pytest.MonkeyPatch) -> None:
    """Balances that were not written behind the journal come back from it."""
    patch.setattr(Participant, "_replayed", lambda self, row, at, rows: ())


def no_tombstone(patch: pytest.MonkeyPatch) -> None:
    """An undo that overtakes its do turns it back when it comes."""

    def forgetful(self: Participant, record: Record, at: At, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        row = decision.journal.row if decision.journal else None
        return decision._replace(journal=None) if getattr(row, "state", None) is State.VOID else decision

    patch.setattr(Participant, "decide", forgetful)


def an_undo_is_calculated_anew(patch: pytest.MonkeyPatch) -> None:
    """An undo moves what the row says was moved."""

    def anew(self: Participant, record: Record, at: At, rows: Rows) -> Decision:
        decision = decide(self, record, at, rows)
        if isinstance(record, Undo) and getattr(decision.journal and decision.journal.row, "undone_at", None):
            verdict = self.rule.judge(record.order, at, rows)
            moves: Moves = {} if isinstance(verdict, str) else verdict
            return decision._replace(balances=moved(self.balances, inverse(moves), at, rows))
        return decision

    patch.setattr(Participant, "decide", anew)


def the_last_write_wins_at_a_restore(patch: pytest.MonkeyPatch) -> None:
    """Keep the highest version per key."""

    def last(chunk: Iterable[Logged], shelf: Shelf, stale: dict[bytes, int]) -> dict[bytes, bytes]:
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
        stale: dict[bytes, int] = {}
        for chunk in changelog.read(shelf.reached, end):
            shelf.write(restore._highest(chunk, shelf, stale), chunk[-1].offset + 1)
        return Restored(0, {key: shelf.get(key) or b"" for key in stale})

    patch.setattr(restore, "restore", hasty)


def the_disk_beats_the_changelog(patch: pytest.MonkeyPatch) -> None:
    """The highest version wins also over what is on disk: not the disk over everything."""

    def stubborn(chunk: Iterable[Logged], shelf: Shelf, stale: dict[bytes, int]) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for _, key, value in chunk:
            if shelf.get(key) is None and (key not in rows or version_of(rows[key]) < version_of(value)):
                rows[key] = value
        return rows

    patch.setattr(restore, "_highest", stubborn)


DEFECTS: list[Plant] = [
    publish_before_journal,
    acknowledge_before_publish,
    apply_before_journal,
    a_repeat_raises_the_version,
    a_repeat_is_not_answered,
    a_replay_is_not_answered,
    moves_are_applied_per_record_on_a_replay,
    moves_are_not_applied_on_a_replay,
    no_tombstone,
    an_undo_is_calculated_anew,
    the_last_write_wins_at_a_restore,
    stale_rows_are_not_repaired,
    reached_does_not_stop_before_a_stale_row,
    the_disk_beats_the_changelog,
]


def is_violated(plan: Plan) -> bool:
    """Whether the property fails, or a worker finds that rows are missing."""
    try:
        check(plan)
    except (AssertionError, RowsMissing):
        return True
    return False


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    generate_only = settings(examples(3000), phases=[Phase.generate])
    found = next(filter(is_violated, TRACES), None)
    if found is None:
        found = find(plans(topics.PAYMENT, topics.INVENTORY), is_violated, settings=generate_only)
    monkeypatch.undo()
    assert not is_violated(found), "the plan fails without the defect too"


def test_nothing_is_caught_where_nothing_is_planted() -> None:
    assert not any(map(is_violated, TRACES))
