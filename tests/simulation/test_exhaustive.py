"""Everything in a small scope. `scripts/simulate --exhaustive` looks at longer histories than these."""

import pytest

from saga_app import topics
from tests.simulation.histories import SCOPES, Count, explore
from tests.simulation.one_order import ORDERS, Budget, Exploration

#: Records after the first, and of how many kinds; and how many states there must be at least.
SCOPE = {
    topics.PAYMENT: (2, 3, 3_000),
    topics.INVENTORY: (2, 2, 1_500),
    topics.SHIPPING: (2, 5, 600),
    topics.CHECKOUT: (2, 6, 2_000),
}


@pytest.mark.parametrize("topic", SCOPES)
def test_no_short_history_breaks_wherever_its_workers_end(topic: str) -> None:
    length, kinds, least = SCOPE[topic]
    count = Count()
    explore(topic, length, 1, count, kinds)
    assert count.states >= least, str(count)


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_ends_in_whatever_sequence_its_records_come(name: str) -> None:
    order = Exploration(name, Budget())
    assert order.run() > 3_000
    ends = {"requested", "timed_out", "COMPLETED" if name == "accepted" else name}
    assert set(order.endings) == ends
