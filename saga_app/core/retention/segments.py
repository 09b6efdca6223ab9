"""Closed orders leave, segment by segment; why it is done so stands in `docs/decisions/0010-order-retention.md`.

Every record here is a round of its own: once its rows are in the changelog, all that came before it is settled. Within
its round the rows are written in this sequence: what must not be lost, then the low watermark, then nothing in
place of rows.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from saga_app.core.decider import IGNORED, Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.order import digest
from saga_app.core.records import (
    ForPartition,
    OrdersEvicted,
    RetentionStarted,
    SegmentsClosed,
    SegmentsPurged,
)
from saga_app.core.retention.rows import LowWatermark, Segment, Total
from saga_app.core.route import ROUTE
from saga_app.core.row_keys import (
    closed_key,
    evicted_total_key,
    low_watermark_key,
    parts_of,
    segment_key,
    segment_name,
)
from saga_app.core.rows import OPEN_STATUSES, ClosedOrder, OrderRow, Row, State, Tombstone

_STEPS: Final = tuple(step.name for step in ROUTE)


def is_evicted(segment: str | None, rows: Rows) -> bool:
    """Whether the orders of this segment have left here, so that nothing must be done for them any more."""
    if segment is None:
        return False
    source, number = parts_of(segment)
    low_watermark = rows.low_watermark(source)
    return low_watermark is not None and number < low_watermark.below


class Segments:
    """The segments of a checkout partition: orders enter them as they are placed, and leave with them."""

    def __init__(self, journal: str) -> None:
        self.journal = journal

    def enter(self, order_id: str, at: Position, rows: Rows) -> tuple[str | None, tuple[Put, ...]]:
        """The segment of an order that is placed here and now, and the row that names it; none before all began."""
        low_watermark = rows.low_watermark(at.partition)
        if low_watermark is None or low_watermark.width is None:
            return None, ()
        number = at.offset // low_watermark.width
        name, key = segment_name(at.partition, number), segment_key(number)
        known = self._segment(key, rows) or Segment(-1, name, ())
        if known.version >= at.offset:
            # A crash came between this row and the order's own.
            return name, ()
        row = Segment(at.offset, name, (*known.order_ids, order_id))
        return name, (self._put(key, row),)

    def decide(self, record: ForPartition, at: Position, rows: Rows) -> Decision:
        """What the retention timer's records do."""
        low_watermark = rows.low_watermark(at.partition)
        if low_watermark is None:
            return self._begin(record, at) if isinstance(record, RetentionStarted) else IGNORED
        if low_watermark.version > at.offset:
            # Only another of these records moves the low watermark: it came when all of this one was settled.
            return repeated()
        if isinstance(record, SegmentsClosed):
            return self._close(record, low_watermark, at, rows)
        if isinstance(record, SegmentsPurged):
            return self._forget(record, low_watermark, at, rows)
        return repeated() if low_watermark.version == at.offset else IGNORED

    def _begin(self, record: RetentionStarted, at: Position) -> Decision:
        first = at.offset // record.width
        row = LowWatermark(at.offset, first, kept=first, width=record.width)
        return Decision(Verdict.APPLIED, others=(self._put(low_watermark_key(at.partition), row),))

    def _close(
        self, record: SegmentsClosed, low_watermark: LowWatermark, at: Position, rows: Rows
    ) -> Decision:
        if any(len(each.at) != len(_STEPS) for each in record.orders):
            raise Rejected(
                Fault.INVALID, f"each order names the partitions of its rows at {len(_STEPS)} services"
            )
        numbers = range(record.first, record.below)
        if low_watermark.version == at.offset:
            closed = self._segment(closed_key(record.below), rows)
            assert closed is not None
            return Decision(
                Verdict.REPEATED,
                sends=_evictions(record, closed.order_ids, at),
                others=self._without(map(segment_key, numbers), at, rows),
            )
        if (
            record.first != low_watermark.below
            or not numbers
            or record.below > at.offset // (low_watermark.width or 1)
        ):
            return IGNORED
        order_ids = [
            order_id
            for number in numbers
            for order_id in getattr(rows.entry(segment_key(number)), "order_ids", ())
        ]
        gone = self._gone(order_ids, record, at, rows)
        if gone is None:
            return Decision(
                Verdict.IGNORED, note=f"segments {record.first} to {record.below} are not closed yet"
            )
        name = segment_name(at.partition, record.below - 1)
        together = Segment(at.offset, name, tuple(order_ids), first=record.first, closed_at=at.time)
        moved = low_watermark._replace(version=at.offset, below=record.below)
        return Decision(
            Verdict.APPLIED,
            sends=_evictions(record, order_ids, at),
            others=(
                *gone,
                self._put(closed_key(record.below), together),
                self._put(low_watermark_key(at.partition), moved),
                *self._without(map(segment_key, numbers), at, rows),
            ),
        )

    def _gone(
        self, order_ids: Iterable[str], record: SegmentsClosed, at: Position, rows: Rows
    ) -> tuple[Put, ...] | None:
        """The small rows of these orders, or None where one has not ended, not long enough ago, or is not named."""
        named = {each.order_id for each in record.orders}
        found = []
        for order_id in order_ids:
            row = rows.order(order_id)
            if row is not None and row.version > at.offset:
                # A later record made it what it is; when this one came for the first time it was passed over.
                return None
            if isinstance(row, OrderRow):
                if not is_over(row, record.after, at.time) or row.segment is None:
                    return None
                row = ClosedOrder(at.offset, row.status, row.segment, digest(row.order))
            if row is None or order_id not in named:
                return None
            found.append(self._put(order_id, row))
        return tuple(found)

    def _forget(
        self, record: SegmentsPurged, low_watermark: LowWatermark, at: Position, rows: Rows
    ) -> Decision:
        key = closed_key(record.below)
        closed = self._segment(key, rows)
        again = low_watermark.version == at.offset
        if closed is None or closed.closed_at is None:
            return repeated() if again else IGNORED
        if not again and not (
            record.first == closed.first == low_watermark.kept and at.time - closed.closed_at >= record.after
        ):
            return IGNORED
        gone = (each for each in closed.order_ids if isinstance(rows.order(each), ClosedOrder))
        moved = low_watermark._replace(version=at.offset, kept=record.below)
        return Decision(
            Verdict.REPEATED if again else Verdict.APPLIED,
            others=(
                *(() if again else (self._put(low_watermark_key(at.partition), moved),)),
                *self._without((*gone, key), at, rows),
            ),
        )

    def _without(self, keys: Iterable[str], at: Position, rows: Rows) -> tuple[Put, ...]:
        return without(self.journal, keys, at, rows)

    def _segment(self, key: str, rows: Rows) -> Segment | None:
        found = rows.entry(key)
        assert found is None or isinstance(found, Segment)
        return found

    def _put(self, key: str, row: Row) -> Put:
        return Put(self.journal, key, row)


def is_over(row: OrderRow, after: int, time: int) -> bool:
    """Whether the order ended at least so many milliseconds before this time; both times are Kafka's."""
    return row.status not in OPEN_STATUSES and row.ended_at is not None and time - row.ended_at >= after


def without(journal: str, keys: Iterable[str], at: Position, rows: Rows) -> tuple[Put, ...]:
    """Nothing in place of those of these rows that are there. A younger one is of a later order with the same id."""
    found = ((key, rows.entry(key)) for key in keys)
    return tuple(
        Put(journal, key, Tombstone(at.offset))
        for key, row in found
        if row is not None and row.version <= at.offset
    )


def _evictions(record: SegmentsClosed, order_ids: Iterable[str], at: Position) -> tuple[OrdersEvicted, ...]:
    """To every partition of every service, so that each knows the sequence."""
    named = {each.order_id: each for each in record.orders}
    orders = [named[each] for each in order_ids]
    return tuple(
        OrdersEvicted(
            partition=partition,
            step=step,
            source=at.partition,
            first=record.first,
            below=record.below,
            order_ids=tuple(each.order_id for each in orders if each.at[number] == partition),
        )
        for number, step in enumerate(_STEPS)
        for partition in range(record.partitions)
    )


def left(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Decision:
    """The rows of these orders leave the journal of a service; what they moved stays in its totals."""
    low_watermark = rows.low_watermark(record.source)
    if low_watermark is not None and low_watermark.version == at.offset:
        gone = without(journal, record.order_ids, at, rows)
        return Decision(Verdict.REPEATED, others=gone)
    if low_watermark is not None and (
        low_watermark.version > at.offset or record.below <= low_watermark.below
    ):
        return repeated()
    if low_watermark is not None and record.first != low_watermark.below:
        raise Rejected(
            Fault.CONTRADICTION,
            f"orders of partition {record.source} left from segment {record.first} on, but the last that was heard "
            f"of is {low_watermark.below - 1}: a record is missing; nothing leaves any more",
        )
    moved = Put(journal, low_watermark_key(record.source), LowWatermark(at.offset, record.below))
    gone = without(journal, record.order_ids, at, rows)
    return Decision(Verdict.APPLIED, others=(*_totals(journal, record, at, rows), moved, *gone))


def _totals(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Iterator[Put]:
    """What these orders moved, and did not move back, added to the totals of each balance."""
    sums: dict[str, Decimal | int] = {}
    for order_id in record.order_ids:
        row = rows.journal(order_id)
        if row is not None and row.state is State.DONE:
            for key, amount in (row.moves or {}).items():
                sums[key] = sums.get(key, 0) + amount
    for key, amount in sums.items():
        total = rows.entry(evicted_total_key(key))
        assert total is None or isinstance(total, Total)
        if total is None or total.version < at.offset:
            moved = amount if total is None else total.moved + amount
            yield Put(journal, evicted_total_key(key), Total(at.offset, moved))
