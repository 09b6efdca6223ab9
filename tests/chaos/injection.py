"""One injection of a fault: the orders that were open, and how long they waited for their ends."""

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.watch import OrderWatch

#: Seconds after a fault in which an order that is placed may still have to wait for it: a session and a rebalance.
AROUND = 10.0


@dataclass
class Injection:
    """A fault hits once or, like a storm, several times: each is an injection of its own."""

    fault: str
    victim: str
    #: Orders placed and not ended at that moment.
    open: frozenset[str]
    #: Orders that had ended since the victim was ready, and all that had ended.
    ended_before: int
    ended: int
    #: It was a kill -9 of a worker.
    kill: bool = False
    at: float = field(default_factory=time.time)
    #: What this fault did, in words; and why it does not count although work was in flight.
    what: str = ""
    why_not: str = ""

    def bit(self, ended_at_end: int) -> bool:
        """True if it counts: work was in flight, and orders ended before and after it."""
        return not self.why_missed(ended_at_end)

    def why_missed(self, ended_at_end: int) -> str:
        """Why it does not count; empty if it does."""
        if self.why_not:
            return self.why_not
        if not self.open:
            return "no order was open"
        if not self.ended_before:
            return "no order had ended since its victim was ready"
        return "" if ended_at_end > self.ended else "no order ended after it"

    def recovery(self, watch: OrderWatch, by_placing: Sequence[tuple[float, float]]) -> float:
        """The longest that an order waited for its end, in seconds from the fault or, if later, from its placing.

        Of the orders that were open at that moment, and of those placed within `AROUND` seconds after it.
        """
        first = bisect_left(by_placing, (self.at, 0.0))
        after = by_placing[first : bisect_left(by_placing, (self.at + AROUND, 0.0))]
        waited = [watch.ended_at[order] / 1000 - self.at for order in self.open if order in watch.ended_at]
        return max([0.0, *waited, *(ended - placed for placed, ended in after)])
