"""Segments at checkout: orders enter one as they are placed, and are closed, evicted and purged with it.

Each record of the retention timer is a round of its own: once its rows are in the changelog, all that came before it
is settled. Its rows are written in this sequence, each append durable before the next: small rows, the row that names
them, low watermark, tombstones.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from saga_app.core.decider import IGNORED, Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import NEVER
from saga_app.core.order import as_placed, digest
from saga_app.core.outcome import OutcomePut
from saga_app.core.records import (
    ForPartition,
    OrdersEvicted,
    RetentionStarted,
    SegmentsClosed,
    SegmentsPurged,
)
from saga_app.core.retention.eviction import tombstones
from saga_app.core.retention.rows import ClosedSegments, EarlyCancellation, LowWatermark, Segment
from saga_app.core.route import DEFAULT
from saga_app.core.row_keys import (
    cancellation_key,
    closed_key,
    low_watermark_key,
    segment_key,
    segment_name,
)
from saga_app.core.rows import ClosedOrder, OrderRow, Row

_BUILT_IN: Final = tuple(step.name for step in DEFAULT)


class Segments:
    """The segments of a checkout partition."""

    def __init__(self, journal: str) -> None:
        self.journal = journal

    def enter(
        self, order_id: str, at: Position, rows: Rows, *, cancelled: bool = False
    ) -> tuple[str | None, tuple[Put, ...]]:
        """The segment of an order that is placed here, and the row that names it; none before retention started.

        Or of a cancellation that comes before its order.
        """
        low_watermark = rows.low_watermark(at.partition)
        if low_watermark is None or low_watermark.segment_width is None:
            return None, ()
        number = at.offset // low_watermark.segment_width
        name, key = segment_name(at.partition, number), segment_key(number)
        known = rows.entry(key) or Segment(NEVER, name, ())
        assert isinstance(known, Segment)
        if known.version >= at.offset:
            # A crash came between this row and the order's own.
            return name, ()
        if cancelled:
            row = known._replace(version=at.version, cancelled_ids=(*known.cancelled_ids, order_id))
        else:
            row = known._replace(version=at.version, order_ids=(*known.order_ids, order_id))
        return name, (self._put(key, row),)

    def decide(self, record: ForPartition, at: Position, rows: Rows) -> Decision:
        """The decision about a record of the retention timer."""
        low_watermark = rows.low_watermark(at.partition)
        if low_watermark is None:
            return self._start(record, at) if isinstance(record, RetentionStarted) else IGNORED
        if low_watermark.version > at.offset:
            # Only another of these records moves the low watermark: it came when all of this one was settled.
            return repeated()
        _require_known(record, low_watermark, at)
        if isinstance(record, SegmentsClosed):
            return self._close(record, low_watermark, at, rows)
        if isinstance(record, SegmentsPurged):
            return self._purge(record, low_watermark, at, rows)
        return repeated() if low_watermark.version == at.offset else IGNORED

    def _start(self, record: RetentionStarted, at: Position) -> Decision:
        first = at.offset // record.segment_width
        row = LowWatermark(at.version, first, purged_below=first, segment_width=record.segment_width)
        return Decision(Verdict.APPLIED, others=(self._put(low_watermark_key(at.partition), row),))

    def _close(
        self, record: SegmentsClosed, low_watermark: LowWatermark, at: Position, rows: Rows
    ) -> Decision:
        services = len(record.steps or _BUILT_IN)
        if any(len(each.partitions) != services for each in record.orders):
            raise Rejected(
                Fault.INVALID, f"each order names the partitions of its rows at {services} services"
            )
        numbers = range(record.first_segment, record.below_segment)
        if low_watermark.version == at.offset:
            closed = self._closed(record.below_segment, rows)
            assert closed is not None
            return Decision(
                Verdict.REPEATED,
                sends=_evictions(record, closed.order_ids, at),
                others=self._emptied(numbers, at, rows),
                outcomes=_removals(closed.order_ids, at),
            )
        if record.first_segment != low_watermark.evicted_below or not numbers:
            return IGNORED
        order_ids = [
            order_id
            for number in numbers
            for order_id in getattr(rows.entry(segment_key(number)), "order_ids", ())
        ]
        small = self._small_rows(order_ids, record, at, rows)
        if small is None or not self._are_old(numbers, record, at, rows):
            return Decision(
                Verdict.IGNORED,
                note=f"segments {record.first_segment} to {record.below_segment - 1} cannot be closed yet",
            )
        last = segment_name(at.partition, record.below_segment - 1)
        names = ClosedSegments(at.version, last, tuple(order_ids), record.first_segment, closed_at=at.time)
        raised = low_watermark._replace(version=at.version, evicted_below=record.below_segment)
        return Decision(
            Verdict.APPLIED,
            sends=_evictions(record, order_ids, at),
            others=(
                *small,
                self._put(closed_key(record.below_segment), names),
                self._put(low_watermark_key(at.partition), raised),
                *self._emptied(numbers, at, rows),
            ),
            outcomes=_removals(order_ids, at),
        )

    def _emptied(self, numbers: Iterable[int], at: Position, rows: Rows) -> tuple[Put, ...]:
        """Tombstones for the early cancellations of these segments, and then for the segments, which name them."""
        numbers = tuple(numbers)
        early = (cancellation_key(order_id) for order_id, _ in _early_in(numbers, rows))
        return self._tombstones((*early, *map(segment_key, numbers)), at, rows)

    def _are_old(self, numbers: Iterable[int], record: SegmentsClosed, at: Position, rows: Rows) -> bool:
        """True if each early cancellation of these segments has waited long enough for its order."""
        # A later record made a younger row: when the present one came first, it was ignored.
        return all(
            row.version <= at.offset and at.time - row.requested_at >= record.retention_ms
            for _, row in _early_in(numbers, rows)
        )

    def _small_rows(
        self, order_ids: Iterable[str], record: SegmentsClosed, at: Position, rows: Rows
    ) -> tuple[Put, ...] | None:
        """The small rows of these orders, or None if one has not ended long enough ago, or is not named."""
        named = {each.order_id for each in record.orders}
        found = []
        for order_id in order_ids:
            row = rows.order(order_id)
            if row is not None and row.version > at.offset:
                # A later record made this row; when the present one came first, it was ignored.
                return None
            if isinstance(row, OrderRow):
                if not is_over(row, record.retention_ms, at.time) or row.segment is None:
                    return None
                row = ClosedOrder(at.version, row.status, row.segment, digest(as_placed(row.order)))
            if row is None or order_id not in named:
                return None
            found.append(self._put(order_id, row))
        return tuple(found)

    def _purge(
        self, record: SegmentsPurged, low_watermark: LowWatermark, at: Position, rows: Rows
    ) -> Decision:
        closed = self._closed(record.below_segment, rows)
        again = low_watermark.version == at.offset
        if closed is None:
            return repeated() if again else IGNORED
        if not again and not (
            record.first_segment == closed.first_segment == low_watermark.purged_below
            and at.time - closed.closed_at >= record.retention_ms
        ):
            return IGNORED
        small = (each for each in closed.order_ids if isinstance(rows.order(each), ClosedOrder))
        raised = low_watermark._replace(version=at.version, purged_below=record.below_segment)
        return Decision(
            Verdict.REPEATED if again else Verdict.APPLIED,
            others=(
                *(() if again else (self._put(low_watermark_key(at.partition), raised),)),
                *self._tombstones((*small, closed_key(record.below_segment)), at, rows),
            ),
        )

    def _closed(self, below: int, rows: Rows) -> ClosedSegments | None:
        found = rows.entry(closed_key(below))
        assert found is None or isinstance(found, ClosedSegments)
        return found

    def _tombstones(self, keys: Iterable[str], at: Position, rows: Rows) -> tuple[Put, ...]:
        return tombstones(self.journal, keys, at, rows)

    def _put(self, key: str, row: Row) -> Put:
        return Put(self.journal, key, row)


def _early_in(numbers: Iterable[int], rows: Rows) -> Iterator[tuple[str, EarlyCancellation]]:
    """The early cancellations of these segments, with the ids of their orders."""
    for number in numbers:
        segment = rows.entry(segment_key(number))
        if isinstance(segment, Segment):
            for order_id in segment.cancelled_ids:
                row = rows.entry(cancellation_key(order_id))
                if isinstance(row, EarlyCancellation) and row.segment == segment.segment:
                    yield order_id, row


def _require_known(record: ForPartition, low_watermark: LowWatermark, at: Position) -> None:
    """`Rejected` if the record names segments that cannot be closed yet, or purges some that are not closed."""
    if isinstance(record, SegmentsClosed):
        highest = at.offset // (low_watermark.segment_width or 1)
        why = f"at offset {at.offset} only the segments below {highest} are full"
    elif isinstance(record, SegmentsPurged):
        highest, why = low_watermark.evicted_below, "only segments that are closed are purged"
    else:
        return
    if record.below_segment > highest:
        raise Rejected(Fault.INVALID, f"it names segments up to {record.below_segment - 1}, but {why}")


def is_over(row: OrderRow, retention_ms: int, time: int) -> bool:
    """True if the order, and its last refund, ended at least so many milliseconds before this time, in Kafka's times.

    Refunds change `since` of an order that has ended.
    """
    if row.is_under_way or row.ended_at is None:
        return False
    return time - (max(row.ended_at, row.since) if row.refunds else row.ended_at) >= retention_ms


def _removals(order_ids: Iterable[str], at: Position) -> tuple[OutcomePut, ...]:
    """The outcomes of evicted orders leave their topic, so that it stays bounded too."""
    return tuple(OutcomePut(order_id, at.version, None) for order_id in order_ids)


def _evictions(record: SegmentsClosed, order_ids: Iterable[str], at: Position) -> tuple[OrdersEvicted, ...]:
    """One record for every partition of every service, so that each sees every segment."""
    named = {each.order_id: each for each in record.orders}
    orders = [named[each] for each in order_ids]
    return tuple(
        OrdersEvicted(
            partition=partition,
            step=step,
            checkout_partition=at.partition,
            first_segment=record.first_segment,
            below_segment=record.below_segment,
            order_ids=tuple(each.order_id for each in orders if each.partitions[number] == partition),
        )
        for number, step in enumerate(record.steps or _BUILT_IN)
        for partition in range(record.partition_count)
    )
