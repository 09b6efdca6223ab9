"""Counts what rounds have done, for metrics: some additions per round, one per record."""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from saga_app.core.row_keys import is_order_key
from saga_app.core.rows import OPEN_STATUSES, JournalRow, OrderRow, Row
from saga_app.kafka.messages import Batch

#: Upper bounds of the classes of a histogram: seconds, and records, of a round.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RECORDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096)
#: The same for a step: seconds from when its record came until it was durable.
STEP: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """How many observations there were up to each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """One more, or so many of the same."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each bound with the number of observations up to it."""
        found, total = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            found.append(("+Inf" if bound == float("inf") else f"{bound:g}", float(total)))
        return found


class Counts:
    """One worker's, since its start; see `durable.ports.Observer`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        #: Orders by how they ended, and why: ("COMPLETED", "") or ("CANCELLED", reason).
        self.ended: Counter[tuple[str, str]] = Counter()
        #: Refunds by how they ended, and why they were refused.
        self.refunds: Counter[tuple[str, str]] = Counter()
        #: What steps recorded: by inbox and state.
        self.steps: Counter[tuple[str, str]] = Counter()
        self.seconds: defaultdict[str, Histogram] = defaultdict(partial(Histogram, SECONDS))
        self.records: defaultdict[str, Histogram] = defaultdict(partial(Histogram, RECORDS))
        self.step: defaultdict[str, Histogram] = defaultdict(partial(Histogram, STEP))
        self.assignments = 0
        self.restore_seconds = 0.0

    def changed(self, topic: str, changes: Mapping[str, Row]) -> None:
        """Rows that a round has made durable. (What is decided anew after a crash is counted anew.)"""
        for key, row in changes.items():
            if isinstance(row, JournalRow):
                # Deposits, deliveries and policies stand there too, under keys that no order has.
                # An order that has refunds was counted when its step was done.
                if is_order_key(key) and not row.refunds:
                    self.steps[topic, row.state] += 1
            elif isinstance(row, OrderRow):
                self._order(row)

    def _order(self, row: OrderRow) -> None:
        """Refunds change `since` of an order that has ended before; of several in a round, the last is seen."""
        if row.status not in OPEN_STATUSES and row.since == row.ended_at:
            self.ended[row.status, row.reason or ""] += 1
        for refund in row.refunds:
            if refund.ended_at is not None and (
                refund.opened_at == row.version or refund.ended_at == row.since
            ):
                self.refunds[refund.status, refund.reason or ""] += 1

    def round_ended(self, topic: str, batches: Sequence[Batch], seconds: float) -> None:
        """A round of this inbox, and how old each of its records is now: Kafka's time against this machine's."""
        self.seconds[topic].observe(seconds)
        self.records[topic].observe(sum(len(each.messages) for each in batches))
        step, now = self.step[topic], self._clock()
        # Kafka's times are in milliseconds: of a large batch, many are the same.
        times: defaultdict[int, int] = defaultdict(int)
        for batch in batches:
            for message in batch.messages:
                times[message.time] += 1
        for at, count in times.items():
            step.observe(max(0.0, now - at / 1000), count)

    def restored(self, seconds: float) -> None:
        """Partitions were assigned, and their rows are there."""
        self.assignments += 1
        self.restore_seconds = seconds
