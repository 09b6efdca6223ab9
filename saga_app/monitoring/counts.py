"""Counts the work of rounds for metrics: a few additions per round, one per record."""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from saga_app.core.rows import OPEN_STATUSES, JournalRow, OrderRow, Row
from saga_app.kafka.messages import Batch

#: Upper bounds of histogram classes: seconds of a round, records of a round, and the seconds of a step: from when its
#: record came until it was durable.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RECORDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096)
STEP: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """The number of observations of each class, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Adds an observation, or several with the same value."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound with the number of observations up to it, as Prometheus wants them."""
        found, total = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            found.append(("+Inf" if bound == float("inf") else f"{bound:g}", float(total)))
        return found


class Counts:
    """The counts of one worker since its start; see `engine.ports.Observer`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        #: Orders by how they ended, and why: ("COMPLETED", "") or ("CANCELLED", reason).
        self.ended: Counter[tuple[str, str]] = Counter()
        #: Recorded states of steps, by inbox and state.
        self.steps: Counter[tuple[str, str]] = Counter()
        self.seconds: defaultdict[str, Histogram] = defaultdict(partial(Histogram, SECONDS))
        self.records: defaultdict[str, Histogram] = defaultdict(partial(Histogram, RECORDS))
        self.step: defaultdict[str, Histogram] = defaultdict(partial(Histogram, STEP))
        self.assignments = 0
        self.restore_seconds = 0.0

    def changed(self, topic: str, changes: Mapping[str, Row]) -> None:
        """Counts rows that a round has made durable. A decision repeated after a crash is counted again."""
        for key, row in changes.items():
            if isinstance(row, JournalRow):
                # Rows of deposits, deliveries and policies have keys that no order has.
                if ":" not in key:
                    self.steps[topic, row.state] += 1
            elif isinstance(row, OrderRow) and row.status not in OPEN_STATUSES:
                self.ended[row.status, row.reason or ""] += 1

    def round_ended(self, topic: str, batches: Sequence[Batch], seconds: float) -> None:
        """Counts a round, and the age of each of its records: Kafka's time against this machine's."""
        self.seconds[topic].observe(seconds)
        self.records[topic].observe(sum(len(each.messages) for each in batches))
        step, now = self.step[topic], self._clock()
        # Many records of a large batch have the same time, in milliseconds.
        times: defaultdict[int, int] = defaultdict(int)
        for batch in batches:
            for message in batch.messages:
                times[message.time] += 1
        for at, count in times.items():
            step.observe(max(0.0, now - at / 1000), count)

    def restored(self, seconds: float) -> None:
        """Counts an assignment of partitions whose rows are restored."""
        self.assignments += 1
        self.restore_seconds = seconds
