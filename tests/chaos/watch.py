"""How orders end, as the topic tells: which are open now, and how long each took."""

from typing import Any

from harness.endings import Endings
from saga_app.kafka.headers import headers_of

#: The orders of the load; bad input has other ids, or none.
PREFIX = "chaos-"
#: A header of records in the name of a service, by which this watch, and no worker, knows that they are forged.
FORGED = "forged"


def is_forged(message: Any) -> bool:
    """True if the attacker of this run wrote it in the name of a service."""
    return any(name == FORGED for name, _ in headers_of(message))


class OrderWatch(Endings):
    """Follows the orders of the load only."""

    def __init__(self, broker: str, partitions: int) -> None:
        super().__init__(broker, partitions, from_beginning=True, log_level=0)
        #: Placed and not ended, in the order of their placing.
        self.open: dict[str, None] = {}

    @property
    def placed(self) -> int:
        return len(self.placed_at)

    @property
    def count(self) -> int:
        """Orders that have ended."""
        return len(self.ended)

    def by_placing(self) -> list[tuple[float, float]]:
        """When each order was placed and when it ended, as times of day in seconds, the first placed first."""
        return sorted((self.placed_at[order] / 1000, at / 1000) for order, at in self.ended_at.items())

    def took(self) -> list[float]:
        """Seconds from placing to end of every order, the shortest first."""
        return sorted((at - self.placed_at[order]) / 1000 for order, at in self.ended_at.items())

    def _see(self, message: Any) -> None:
        # Most records of the topic are good; the few others are told apart by the id that they do not have.
        if PREFIX.encode() not in (message.value() or b"") or is_forged(message):
            return
        placed, ended = self.placed, self.count
        super()._see(message)
        if self.placed > placed:
            order = next(reversed(self.placed_at))
            if order not in self.ended:
                self.open[order] = None
        elif self.count > ended:
            self.open.pop(next(reversed(self.ended)), None)
