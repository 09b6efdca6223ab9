"""The deadline timer: nudges orders that do not end. It only sends records; decisions never read a clock."""

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from saga_app.core import checkout
from saga_app.core.patience import LONGEST_DELAY
from saga_app.core.rows import OrderRow, Row, decode, is_under_way
from saga_app.engine.lease import uptime
from saga_app.engine.ports import Log, Store
from saga_app.engine.timer import Timer
from saga_app.kafka.messages import Outgoing, outgoing

#: Milliseconds after an assignment before old deadlines are sent: what is on its way may end the order first.
GRACE: Final = 5_000
#: Nudges sent at once.
MOST: Final = 500


def steady() -> Callable[[], int]:
    """Milliseconds: this machine's time now, and from then on what has passed, whoever sets its clock meanwhile."""
    began = time.time() - uptime()
    return lambda: int((began + uptime()) * 1000)


class DeadlineTimer(Timer):
    """The orders that have not ended, or whose refunds have not, of all checkout partitions of this worker.

    Between an order's record and its nudge, only what has passed here counts. Where this machine's time must be
    compared with Kafka's, after a restart, a wrong clock makes a nudge come early or late, by one delay at most.
    """

    def __init__(self, log: Log, clock: Callable[[], int] | None = None, tick: float = 0.5) -> None:
        super().__init__(log, tick)
        self._clock = clock or steady()
        self._due: list[tuple[int, str]] = []
        self._open: dict[str, tuple[int, OrderRow]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def late(self) -> int:
        """How many of them have passed a deadline: looks at all."""
        return sum(row.tries > 0 for _, row in list(self._open.values()))

    def stop(self) -> None:
        """Sends no more and forgets every order; the next assignment loads them again."""
        super().stop()
        self._due.clear()
        self._open.clear()

    def load(self, store: Store) -> None:
        """One scan of a partition's orders; takes about 2 s for a million rows, so call it off the main loop."""
        now = self._clock()
        for key, data in store.scan(b""):
            if is_under_way(data):
                row = decode("orders", key.decode(), data)
                if not isinstance(row, OrderRow) or not row.is_under_way:
                    continue
                left = min(max(checkout.due(row) - now, GRACE), checkout.delay(row))
                self._watch(key.decode(), row, now + left)

    def changed(self, partition: int, changes: Mapping[str, Row]) -> None:
        """Orders that a round decided. A record that waited long before it was read starts its deadline now."""
        if self._generation is None:
            # A round that ends after its partitions were taken away: the next assignment loads what is still ours.
            return
        now = self._clock()
        for order_id, row in changes.items():
            if isinstance(row, OrderRow) and row.is_under_way:
                self._watch(order_id, row, now + checkout.delay(row))
            else:
                self._open.pop(order_id, None)

    def _watch(self, order_id: str, row: OrderRow, due: int) -> None:
        self._open[order_id] = (due, row)
        heapq.heappush(self._due, (due, order_id))

    def _take(self) -> list[Outgoing]:
        nudges: list[Outgoing] = []
        while self._due and self._due[0][0] <= self._clock() and len(nudges) < MOST:
            due, order_id = heapq.heappop(self._due)
            watched = self._open.get(order_id)
            if watched is not None and watched[0] == due:
                nudges.append(outgoing(checkout.deadline(order_id, watched[1])))
                # Unless the nudge changes the row first: then it was lost.
                self._watch(order_id, watched[1], self._clock() + LONGEST_DELAY)
        return nudges

    def _send_again(self, records: Sequence[Outgoing]) -> None:
        for nudge in records:
            order_id = (nudge.key or b"").decode()
            if (watched := self._open.get(order_id)) is not None:
                self._watch(order_id, watched[1], self._clock())
