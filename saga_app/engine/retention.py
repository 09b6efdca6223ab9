"""The retention timer: says when segments are old enough to leave. It only sends records; decisions never read a clock."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
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
from saga_app.core.retention.rows import LowWatermark, Segment, low_watermark_key, parts_of
from saga_app.core.retention.segments import is_over
from saga_app.core.rows import ClosedOrder, OrderRow, decode
from saga_app.engine.deadlines import steady
from saga_app.engine.ports import GivenUp, Log, Store
from saga_app.engine.round import outgoing

#: Offsets of the checkout inbox whose orders are one segment.
WIDTH: Final = 64
#: Orders that are named at once.
MOST: Final = 500
#: Milliseconds until what was sent and had no effect is sent again.
AGAIN: Final = 30_000
#: Milliseconds at most until a partition in which nothing could leave is looked at again.
LONGEST_PAUSE: Final = 60_000

Said = RetentionStarted | SegmentsClosed | SegmentsPurged


class Ages(NamedTuple):
    """Milliseconds after its end until an order leaves, and after that until it is forgotten; None is never."""

    leave: int | None
    forget: int | None


class RetentionTimer:
    """The oldest segments of each checkout partition of this worker. It keeps nothing in memory but when to look."""

    def __init__(
        self,
        log: Log,
        partitions: int,
        ages: Ages,
        clock: Callable[[], int] | None = None,
        tick: float = 1.0,
        width: int = WIDTH,
    ) -> None:
        self._log = log
        self._partitions = partitions
        self._ages = ages
        self._clock = clock or steady()
        self._tick = tick
        self._width = width
        self._generation: int | None = None
        self._stores: dict[int, Store] = {}
        self._look_at: dict[int, int] = {}
        #: What was said last about each partition, and when.
        self._said: dict[tuple[int, str], tuple[Said, int]] = {}
        self._sending = asyncio.Lock()

    def load(self, partition: int, store: Store) -> None:
        """The rows of a checkout partition that this worker owns from now on."""
        self._stores[partition] = store

    def start(self, generation: int) -> None:
        """From now on records are sent."""
        self._generation = generation

    def stop(self) -> None:
        """Forgets everything; the next assignment loads it again."""
        self._generation = None
        self._stores.clear()
        self._look_at.clear()
        self._said.clear()

    async def run(self) -> None:
        """Sends what is due, again and again."""
        while True:
            await asyncio.sleep(self._tick)
            async with self._sending:
                if (generation := self._generation) is not None and (records := list(self.due())):
                    # Given up: the next owner looks for itself.
                    with suppress(GivenUp):
                        await self._log.append([outgoing(each) for each in records], generation)

    async def rested(self) -> None:
        """Returns when nothing is being sent."""
        async with self._sending:
            return

    def due(self) -> Iterator[Said]:
        """What is to be said now, and was not said just before."""
        if self._ages.leave is None:
            return
        now = self._clock()
        for partition, store in self._stores.items():
            if self._look_at.get(partition, 0) > now:
                continue
            found = [each for each in self._about(partition, store, now) if each is not None]
            if not found:
                self._look_at[partition] = now + min(LONGEST_PAUSE, self._ages.leave // 100)
            yield from (each for each in found if self._is_news(partition, each, now))

    def _is_news(self, partition: int, record: Said, now: int) -> bool:
        """Until the round has decided it, the store asks for the same record again and again."""
        said, when = self._said.get((partition, record.type), (None, 0))
        if said == record and now - when < AGAIN:
            return False
        self._said[partition, record.type] = record, now
        return True

    def _about(self, partition: int, store: Store, now: int) -> Iterator[Said | None]:
        row = store.get(low_watermark_key(partition).encode())
        if row is None:
            yield RetentionStarted(partition=partition, width=self._width)
            return
        low_watermark = LowWatermark.decode(row)
        yield self._closed(partition, store, low_watermark, now)
        yield self._forgotten(partition, store, now)

    def _closed(
        self, partition: int, store: Store, low_watermark: LowWatermark, now: int
    ) -> SegmentsClosed | None:
        orders: list[EvictedOrder] = []
        below, age = low_watermark.below, self._ages.leave or 0
        most = min((store.inbox or 0) // (low_watermark.width or 1), low_watermark.below + MOST_SEGMENTS)
        for _, data in store.scan(b"segment:"):
            segment = Segment.decode(data)
            number = parts_of(segment.segment)[1]
            if number >= most:
                # Nothing was placed in very many.
                below = most if most == low_watermark.below + MOST_SEGMENTS else below
                break
            if len(orders) + len(segment.order_ids) > MOST:
                break
            evicted = self._evicted(segment, store, now - age)
            if evicted is None:
                break
            orders += evicted
            below = number + 1
        if below == low_watermark.below:
            return None
        return SegmentsClosed(
            partition=partition,
            first=low_watermark.below,
            below=below,
            after=age,
            partitions=self._partitions,
            orders=tuple(orders),
        )

    def _evicted(self, segment: Segment, store: Store, ended_before: int) -> list[EvictedOrder] | None:
        """All orders of the segment, or None where one of them must still stay."""
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
            at = tuple(topics.partition_of(key, self._partitions) for key in keys)
            found.append(EvictedOrder(order_id=order_id, at=at))
        return found

    def _forgotten(self, partition: int, store: Store, now: int) -> SegmentsPurged | None:
        oldest = next(iter(store.scan(b"closed:")), None)
        if oldest is None or self._ages.forget is None:
            return None
        key, data = oldest
        closed = Segment.decode(data)
        if closed.closed_at is None or closed.first is None or now - closed.closed_at < self._ages.forget:
            return None
        below = int(key.rpartition(b":")[2])
        return SegmentsPurged(partition=partition, first=closed.first, below=below, after=self._ages.forget)
