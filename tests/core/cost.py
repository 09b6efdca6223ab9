"""What the rules cost: CPU time of the four folds for orders that complete. `python -m tests.core.cost [orders]`

Every order passes checkout, payment, inventory, shipping and checkout again; rows are read and written as a worker's
view does it, without Kafka and without a disk. `--cohorts`: orders enter cohorts, as with SAGA_LEAVE_AFTER.
"""

import sys
import time
from collections import deque
from statistics import median
from typing import Final

import agents
from saga_app import topics
from saga_app.core.decision import At
from saga_app.core.records import Record
from saga_app.durable.library import Service
from saga_app.durable.view import View
from tests.live.refold import DictShelf
from tests.support.examples import delivery, deposit, placed

_TIMES: Final = 7
#: Records of one inbox between two writes.
_ROUND: Final = 64


class Inbox:
    """One partition of one service."""

    def __init__(self, service: Service) -> None:
        self.fold = service.fold
        self.offset = 0
        self.shelves = {table: DictShelf() for table in service.tables}
        self.view = View(service.fold.journal, service.fold.balances, self.shelves)

    def decide(self, record: Record) -> tuple[Record, ...]:
        """The record stands at the next offset; what is sent."""
        decision = self.fold.decide(record, At(self.offset, 1_700_000_000_000 + self.offset), self.view)
        self.offset += 1
        self.view.put([*getattr(decision, "others", ()), *([decision.journal] if decision.journal else [])])
        self.view.put(decision.balances)
        if self.offset % _ROUND == 0:
            for table, shelf in self.shelves.items():
                shelf.write(self.view.decided(table), 0)
            self.view.clear()
        return decision.sends


def seconds(orders: int, first: list[Record]) -> float:
    """CPU seconds for so many orders."""
    inboxes = {agent.TOPIC: Inbox(Service(agent.TOPIC, agent.FOLD)) for agent in agents.ALL}
    supplies: list[Record] = [delivery("d", mug=9 * orders), deposit("d", "900000000.00")]
    for each in [*first, *supplies]:
        inboxes[topics.topic_of(each)].decide(each)
    records: deque[Record] = deque(placed(f"o{number}", customer_id="c1") for number in range(orders))
    began = time.process_time()
    while records:
        record = records.popleft()
        records.extend(inboxes[topics.topic_of(record)].decide(record))
    return time.process_time() - began


def main() -> None:
    """Prints the median."""
    words = sys.argv[1:]
    first: list[Record] = []
    if "--cohorts" in words:
        from saga_app.core.records import LeavingBegun

        first = [LeavingBegun(partition=0, width=64)]
    orders = next((int(word) for word in words if word.isdigit()), 5_000)
    took = median(seconds(orders, first) for _ in range(_TIMES))
    print(f"{took / orders * 1e6:.0f} microseconds per order, median of {_TIMES} times {orders}")


if __name__ == "__main__":
    main()
