"""The retention timer: it says when segments are old enough. It only sends records; decisions never read a clock."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.core.order import Order
from saga_app.core.records import (
    MOST_SEGMENTS,
    EvictedOrder,
    RetentionStarted,
    SegmentsClosed,
    SegmentsPurged,
)
from saga_app.core.retention.rows import ClosedSegments, EarlyCancellation, LowWatermark, Segment
from saga_app.core.retention.segments import is_over
from saga_app.core.route import DEFAULT, STEPS
from saga_app.core.row_keys import KeyKind, cancellation_key, low_watermark_key, number_in, parts_of
from saga_app.core.rows import ClosedOrder, OrderRow, decode
from saga_app.engine.deadlines import steady
from saga_app.engine.ports import Log, Store
from saga_app.engine.timer import Timer
from saga_app.kafka.messages import Outgoing, outgoing

#: Offsets of the checkout inbox whose orders are one segment.
SEGMENT_WIDTH: Final = 64
#: Orders that one record closes.
MOST_ORDERS: Final = 500
#: Milliseconds until a record that had no effect is sent again.
SEND_AGAIN_AFTER: Final = 30_000
#: Milliseconds at most until a partition with nothing to send is looked at again.
LONGEST_PAUSE: Final = 60_000

RetentionRecord = RetentionStarted | SegmentsClosed | SegmentsPurged


class Ages(NamedTuple):
    """Milliseconds from its end until an order is evicted, and from then until its id is purged; None is never."""

    evict: int | None
    purge: int | None


class RetentionTimer(Timer):
    """Looks at the oldest segments of each checkout partition of this worker. In memory it has only when to look."""

    def __init__(
        self,
        log: Log,
        partitions: int,
        ages: Ages,
        clock: Callable[[], int] | None = None,
        tick: float = 1.0,
        segment_width: int = SEGMENT_WIDTH,
    ) -> None:
        super().__init__(log, tick)
        self._partitions = partitions
        self._ages = ages
        self._clock = clock or steady()
        self._segment_width = segment_width
        self._stores: dict[int, Store] = {}
        self._look_at: dict[int, int] = {}
        #: The last record of each type about each partition, and when it was sent.
        self._sent: dict[tuple[int, str], tuple[RetentionRecord, int]] = {}

    def load(self, partition: int, store: Store) -> None:
        """Takes the rows of a checkout partition that this worker owns from now on."""
        self._stores[partition] = store

    def stop(self) -> None:
        """Sends no more and drops the rows; the next assignment loads them again."""
        super().stop()
        self._stores.clear()
        self._look_at.clear()
        self._sent.clear()

    def due(self) -> Iterator[RetentionRecord]:
        """The records to send now, without those that were sent just before."""
        if self._ages.evict is None:
            return
        now = self._clock()
        for partition, store in self._stores.items():
            if self._look_at.get(partition, 0) > now:
                continue
            found = [each for each in self._records(partition, store, now) if each is not None]
            if not found:
                self._look_at[partition] = now + min(LONGEST_PAUSE, self._ages.evict // 100)
            yield from (each for each in found if self._is_news(partition, each, now))

    def _take(self) -> list[Outgoing]:
        return [outgoing(each) for each in self.due()]

    def _send_again(self, records: Sequence[Outgoing]) -> None:
        self._sent.clear()

    def _is_news(self, partition: int, record: RetentionRecord, now: int) -> bool:
        """Until the round has decided it, the store asks for the same record again and again."""
        sent, when = self._sent.get((partition, record.type), (None, 0))
        if sent == record and now - when < SEND_AGAIN_AFTER:
            return False
        self._sent[partition, record.type] = record, now
        return True

    def _records(self, partition: int, store: Store, now: int) -> Iterator[RetentionRecord | None]:
        row = store.get(low_watermark_key(partition).encode())
        if row is None:
            yield RetentionStarted(partition=partition, segment_width=self._segment_width)
            return
        low_watermark = decode("orders", low_watermark_key(partition), row)
        assert isinstance(low_watermark, LowWatermark)
        yield self._segments_closed(partition, store, low_watermark, now)
        yield self._segments_purged(partition, store, now)

    def _segments_closed(
        self, partition: int, store: Store, low_watermark: LowWatermark, now: int
    ) -> SegmentsClosed | None:
        orders: list[EvictedOrder] = []
        below, age = low_watermark.evicted_below, self._ages.evict or 0
        most = min(
            (store.inbox or 0) // (low_watermark.segment_width or 1),
            low_watermark.evicted_below + MOST_SEGMENTS,
        )
        for key, data in store.scan(KeyKind.SEGMENT.prefix):
            segment = decode("orders", key.decode(), data)
            assert isinstance(segment, Segment)
            number = parts_of(segment.segment)[1]
            if number >= most:
                # No order was placed in very many segments.
                below = most if most == low_watermark.evicted_below + MOST_SEGMENTS else below
                break
            if len(orders) + len(segment.order_ids) > MOST_ORDERS:
                break
            ended = self._ended(segment, store, now - age)
            if ended is None or not _are_old(segment, store, now - age):
                break
            orders += ended
            below = number + 1
        if below == low_watermark.evicted_below:
            return None
        return SegmentsClosed(
            partition=partition,
            first_segment=low_watermark.evicted_below,
            below_segment=below,
            retention_ms=age,
            partition_count=self._partitions,
            steps=None if STEPS == DEFAULT else tuple(step.name for step in STEPS),
            orders=tuple(orders),
        )

    def _ended(self, segment: Segment, store: Store, ended_before: int) -> list[EvictedOrder] | None:
        """All orders of the segment, or None if one of them has not ended long enough ago."""
        found = []
        for order_id in segment.order_ids:
            data = store.get(order_id.encode())
            row = None if data is None else decode("orders", order_id, data)
            if isinstance(row, ClosedOrder) or row is None:
                return None
            assert isinstance(row, OrderRow)
            if not is_over(row, 0, ended_before):
                return None
            order = Order.model_validate_json(row.order)
            keys = (topics.key_in(topic, order) for topic in topics.INBOXES[1:])
            partitions = tuple(topics.partition_of(key, self._partitions) for key in keys)
            found.append(EvictedOrder(order_id=order_id, partitions=partitions))
        return found

    def _segments_purged(self, partition: int, store: Store, now: int) -> SegmentsPurged | None:
        oldest = next(iter(store.scan(KeyKind.CLOSED.prefix)), None)
        if oldest is None or self._ages.purge is None:
            return None
        key, data = oldest
        closed = decode("orders", key.decode(), data)
        assert isinstance(closed, ClosedSegments)
        if now - closed.closed_at < self._ages.purge:
            return None
        below = number_in(key.decode())
        return SegmentsPurged(
            partition=partition,
            first_segment=closed.first_segment,
            below_segment=below,
            retention_ms=self._ages.purge,
        )


def _are_old(segment: Segment, store: Store, asked_before: int) -> bool:
    """True if each early cancellation of the segment has waited long enough for its order."""
    for order_id in segment.cancelled_ids:
        key = cancellation_key(order_id)
        data = store.get(key.encode())
        row = None if data is None else decode("orders", key, data)
        if isinstance(row, EarlyCancellation) and row.requested_at > asked_before:
            return False
    return True
