"""Orders that are evicted too early, not for good, or with what must stay."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from saga_app.core import checkout
from saga_app.core.decider import Decision, Position, Put, Rows, Verdict
from saga_app.core.numbers import Version
from saga_app.core.records import ForPartition, OrdersEvicted, SegmentsClosed, StepRequest
from saga_app.core.retention import eviction, segments
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.row_keys import low_watermark_key
from saga_app.core.rows import ClosedOrder, JournalRow, OrderRow, Tombstone
from saga_app.engine import durability
from saga_app.engine import retention as timer
from saga_app.engine.ports import Store, row_record
from saga_app.engine.stores import restore
from saga_app.kafka.messages import Outgoing
from tests.simulation import world

is_over = segments.is_over


def totals_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    """The amounts that the orders moved are added to the totals before their rows are evicted."""

    def none(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Iterator[Put]:
        return iter(())

    patch.setattr(eviction, "_totals", none)


def a_late_step_request_is_decided(patch: pytest.MonkeyPatch) -> None:
    """A step request of a segment below the low watermark is ignored, whoever sent it and whenever."""

    def never(record: StepRequest, row: JournalRow | None, rows: Rows) -> bool:
        return False

    patch.setattr(eviction, "is_evicted", never)


def open_orders_are_evicted(patch: pytest.MonkeyPatch) -> None:
    """Only orders that have ended are evicted."""

    def always(row: OrderRow, after: int, time: int) -> bool:
        return True

    patch.setattr(segments, "is_over", always)
    patch.setattr(timer, "is_over", always)


def the_workers_clock_decides(patch: pytest.MonkeyPatch) -> None:
    """How long ago an order ended is told by the times of records alone."""
    running: list[world.SimulatedWorld] = []
    begin = world.SimulatedWorld.run

    def run(self: world.SimulatedWorld) -> None:
        running[:] = [self]
        begin(self)

    def now(row: OrderRow, after: int, time: int) -> bool:
        return is_over(row, after, running[0].now)

    patch.setattr(world.SimulatedWorld, "run", run)
    patch.setattr(segments, "is_over", now)


def totals_are_written_last(patch: pytest.MonkeyPatch) -> None:
    """Totals come first, then the low watermark, and then tombstones."""

    def backwards(self: Decision) -> tuple[Put, ...]:
        return (*reversed(self.others), *((self.journal,) if self.journal else ()), *self.balances)

    patch.setattr(Decision, "puts", property(backwards))


def a_late_write_stays(patch: pytest.MonkeyPatch) -> None:
    """A row below the low watermark that is found in a changelog is dropped."""

    def none(store: Store, keys: Iterable[bytes] | None) -> dict[bytes, bytes]:
        return {}

    patch.setattr(restore, "_below_low_watermark", none)


def a_tombstone_has_no_version(patch: pytest.MonkeyPatch) -> None:
    """A tombstone carries its version, so a restore compares it like any row."""

    def plain(*arguments: Any) -> Outgoing:
        return row_record(*arguments)._replace(headers=())

    patch.setattr(durability, "row_record", plain)


def a_replay_takes_evicted_orders_for_new_ones(patch: pytest.MonkeyPatch) -> None:
    """A replay of records about evicted orders has nothing to do, and does nothing."""

    def never(row: OrderRow | ClosedOrder | None, at: Position, rows: Rows) -> bool:
        return False

    patch.setattr(checkout, "evicted_since", never)


def a_closing_takes_younger_rows(patch: pytest.MonkeyPatch) -> None:
    """A record that finds a row younger than itself was ignored when it first came, and is ignored again."""
    checked = segments.Segments._small_rows

    def small_rows(
        self: segments.Segments, order_ids: Iterable[str], record: SegmentsClosed, at: Position, rows: Rows
    ) -> tuple[Put, ...] | None:
        found = {each: rows.order(each) for each in order_ids}
        small = [Put(self.journal, key, row) for key, row in found.items() if isinstance(row, ClosedOrder)]
        others = checked(self, found.keys() - {put.key for put in small}, record, at, rows)
        return None if others is None else (*small, *others)

    patch.setattr(segments.Segments, "_small_rows", small_rows)


def an_eviction_takes_a_later_order(patch: pytest.MonkeyPatch) -> None:
    """Tombstones spare rows younger than their record: those are of a later order with the same id."""

    def all_of_them(journal: str, keys: Iterable[str], at: Position, rows: Rows) -> tuple[Put, ...]:
        return tuple(
            Put(journal, key, Tombstone(Version(at.offset))) for key in keys if rows.entry(key) is not None
        )

    def whatever(record: OrdersEvicted, at: Position, rows: Rows) -> Iterator[tuple[str, JournalRow]]:
        found = ((each, rows.journal(each)) for each in record.order_ids)
        return ((key, row) for key, row in found if row is not None)

    patch.setattr(eviction, "_found", whatever)
    for module in (eviction, segments):
        patch.setattr(module, "tombstones", all_of_them)


def a_record_alone_raises_the_low_watermark(patch: pytest.MonkeyPatch) -> None:
    """A low watermark rises only as far as orders were evicted: the numbers of a record may be too high."""
    decide = eviction.evict

    def evict(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Decision:
        decision = decide(journal, record, at, rows)
        return decision._replace(
            others=tuple(
                put._replace(row=put.row._replace(evicted_below=record.below_segment))
                if isinstance(put.row, LowWatermark)
                else put
                for put in decision.others
            )
        )

    patch.setattr(eviction, "evict", evict)


def a_closing_beyond_the_inbox_is_taken(patch: pytest.MonkeyPatch) -> None:
    """A closing at an offset names only segments whose offsets are before it."""

    def nothing(record: ForPartition, low_watermark: LowWatermark, at: Position) -> None:
        return None

    patch.setattr(segments, "_require_known", nothing)


def a_rejected_eviction_is_applied_later(patch: pytest.MonkeyPatch) -> None:
    """The same for an `OrdersEvicted` that was set aside and finds a younger low watermark: it does nothing again."""
    decide = eviction.evict

    def evict(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Decision:
        low_watermark = rows.low_watermark(record.checkout_partition)
        if (
            low_watermark is not None
            and low_watermark.version > at.offset
            and record.first_segment == low_watermark.closed
        ):
            removed = eviction.tombstones(journal, record.order_ids, at, rows)
            raised = Put(
                journal,
                low_watermark_key(record.checkout_partition),
                LowWatermark(
                    Version(at.offset), low_watermark.evicted_below, closed_below=record.below_segment
                ),
            )
            return Decision(Verdict.APPLIED, others=(raised, *removed))
        return decide(journal, record, at, rows)

    patch.setattr(eviction, "evict", evict)


def an_early_cancellation_is_evicted_too_early(patch: pytest.MonkeyPatch) -> None:
    """A cancellation that waits for its order is kept as long as an ended order."""

    def always(
        self: segments.Segments, numbers: object, record: SegmentsClosed, at: Position, rows: Rows
    ) -> bool:
        return True

    patch.setattr(segments.Segments, "_are_old", always)
    patch.setattr(timer, "_are_old", lambda segment, store, asked_before: True)


def an_early_cancellation_is_in_no_segment(patch: pytest.MonkeyPatch) -> None:
    """The segment names the cancellations that came in it: without it they would stay for ever."""
    enter = segments.Segments.enter

    def unnamed(
        self: segments.Segments, order_id: str, at: Position, rows: Rows, *, cancelled: bool = False
    ) -> tuple[str | None, tuple[Put, ...]]:
        segment, named = enter(self, order_id, at, rows, cancelled=cancelled)
        return segment, () if cancelled else named

    patch.setattr(segments.Segments, "enter", unnamed)
