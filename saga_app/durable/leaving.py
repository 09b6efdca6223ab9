"""The leaving clock: says when cohorts are old enough to leave. It only sends records; decisions never read a clock."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.core.horizons import Cohort, Horizon, horizon_key, parts_of
from saga_app.core.leaving import is_over
from saga_app.core.order import Order
from saga_app.core.records import MOST_COHORTS, CohortsClosed, CohortsForgotten, Leaver, LeavingBegun
from saga_app.core.rows import GoneOrder, OrderRow, decode
from saga_app.durable.clock import steady
from saga_app.durable.lease import GivenUp
from saga_app.durable.ports import Log, Shelf
from saga_app.durable.round import outgoing

#: Offsets of the checkout inbox whose orders are one cohort.
WIDTH: Final = 64
#: Orders that are named at once.
MOST: Final = 500
#: Milliseconds until what was sent and had no effect is sent again.
AGAIN: Final = 30_000
#: Milliseconds at most until a partition in which nothing could leave is looked at again.
LONGEST_PAUSE: Final = 60_000

Said = LeavingBegun | CohortsClosed | CohortsForgotten


class Ages(NamedTuple):
    """Milliseconds after its end until an order leaves, and after that until it is forgotten; None is never."""

    leave: int | None
    forget: int | None


class LeavingClock:
    """The oldest cohorts of each checkout partition of this worker. It keeps nothing in memory but when to look."""

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
        self._generation = -1
        self._shelves: dict[int, Shelf] = {}
        self._look_at: dict[int, int] = {}
        #: What was said last about each partition, and when.
        self._said: dict[tuple[int, str], tuple[Said, int]] = {}
        self._sending = asyncio.Lock()

    def load(self, partition: int, shelf: Shelf) -> None:
        """The rows of a checkout partition that this worker owns from now on."""
        self._shelves[partition] = shelf

    def start(self, generation: int) -> None:
        """From now on records are sent."""
        self._generation = generation

    def stop(self) -> None:
        """Forgets everything; the next assignment loads it again."""
        self._generation = -1
        self._shelves.clear()
        self._look_at.clear()
        self._said.clear()

    async def run(self) -> None:
        """Sends what is due, again and again."""
        while True:
            await asyncio.sleep(self._tick)
            async with self._sending:
                records = list(self.due()) if self._generation >= 0 else []
                if records:
                    # Given up: the next owner looks for itself.
                    with suppress(GivenUp):
                        await self._log.append([outgoing(each) for each in records], self._generation)

    async def rested(self) -> None:
        """Returns when nothing is being sent."""
        async with self._sending:
            return

    def due(self) -> Iterator[Said]:
        """What is to be said now, and was not said just before."""
        if self._ages.leave is None:
            return
        now = self._clock()
        for partition, shelf in self._shelves.items():
            if self._look_at.get(partition, 0) > now:
                continue
            found = [each for each in self._about(partition, shelf, now) if each is not None]
            if not found:
                self._look_at[partition] = now + min(LONGEST_PAUSE, self._ages.leave // 100)
            yield from (each for each in found if self._is_news(partition, each, now))

    def _is_news(self, partition: int, record: Said, now: int) -> bool:
        """Until the round has decided it, the shelf asks for the same record again and again."""
        said, when = self._said.get((partition, record.type), (None, 0))
        if said == record and now - when < AGAIN:
            return False
        self._said[partition, record.type] = record, now
        return True

    def _about(self, partition: int, shelf: Shelf, now: int) -> Iterator[Said | None]:
        row = shelf.get(horizon_key(partition).encode())
        if row is None:
            yield LeavingBegun(partition=partition, width=self._width)
            return
        horizon = Horizon.decode(row)
        yield self._closed(partition, shelf, horizon, now)
        yield self._forgotten(partition, shelf, now)

    def _closed(self, partition: int, shelf: Shelf, horizon: Horizon, now: int) -> CohortsClosed | None:
        orders: list[Leaver] = []
        below, age = horizon.below, self._ages.leave or 0
        most = min((shelf.inbox or 0) // (horizon.width or 1), horizon.below + MOST_COHORTS)
        for _, data in shelf.scan(b"cohort:"):
            cohort = Cohort.decode(data)
            number = parts_of(cohort.cohort)[1]
            if number >= most:
                # Nothing was placed in very many.
                below = most if most == horizon.below + MOST_COHORTS else below
                break
            if len(orders) + len(cohort.order_ids) > MOST:
                break
            leavers = self._leavers(cohort, shelf, now - age)
            if leavers is None:
                break
            orders += leavers
            below = number + 1
        if below == horizon.below:
            return None
        return CohortsClosed(
            partition=partition,
            first=horizon.below,
            below=below,
            after=age,
            partitions=self._partitions,
            orders=tuple(orders),
        )

    def _leavers(self, cohort: Cohort, shelf: Shelf, ended_before: int) -> list[Leaver] | None:
        """All orders of the cohort, or None where one of them must still stay."""
        found = []
        for order_id in cohort.order_ids:
            data = shelf.get(order_id.encode())
            row = None if data is None else decode("orders", order_id, data)
            if isinstance(row, GoneOrder) or row is None:
                return None
            assert isinstance(row, OrderRow)
            if not is_over(row, 0, ended_before):
                return None
            order = Order.model_validate_json(row.order)
            keys = (topics.key_in(topic, order) for topic in topics.INBOXES[1:])
            at = tuple(topics.partition_of(key, self._partitions) for key in keys)
            found.append(Leaver(order_id=order_id, at=at))
        return found

    def _forgotten(self, partition: int, shelf: Shelf, now: int) -> CohortsForgotten | None:
        oldest = next(iter(shelf.scan(b"closed:")), None)
        if oldest is None or self._ages.forget is None:
            return None
        key, data = oldest
        closed = Cohort.decode(data)
        if closed.closed_at is None or closed.first is None or now - closed.closed_at < self._ages.forget:
            return None
        below = int(key.rpartition(b":")[2])
        return CohortsForgotten(partition=partition, first=closed.first, below=below, after=self._ages.forget)
