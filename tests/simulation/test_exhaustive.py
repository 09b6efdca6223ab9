"""Everything in a small scope. `scripts/simulate --exhaustive` looks at longer histories than these."""

import pytest

from tests.simulation.histories import Count, explore
from tests.simulation.one_effect import EFFECTS, EffectBudget, EffectCancelledFirst, EffectExploration
from tests.simulation.one_order import ORDERS, Budget, CancelledFirst, Exploration
from tests.simulation.one_refund import REFUNDS, RefundExploration
from tests.simulation.scopes import SCOPES
from tests.support.quick import quick

#: Records after the first, and of how many kinds; and how many states there must be at least.
SCOPE = {
    "payment": (2, 3, 3_900),
    "inventory": (2, 2, 1_750),
    "shipping": (2, 5, 900),
    "checkout": (2, 6, 3_200),
    "patience at checkout": (2, 5, 2_000),
    "closing at checkout": (2, 2, 2_100),
    "purge at checkout": (1, 4, 2_400),
    "cancelled first at checkout": (2, 3, 1_000),
    "eviction at payment": (2, 2, 1_800),
    "evicted at inventory": (1, 4, 2_700),
    "withdrawals at payment": (2, 3, 300),
    "payment outside": (2, 4, 300),
    "refunds at payment": (2, 3, 1_000),
    "refunds at inventory": (2, 2, 1_000),
    "refunds at checkout": (2, 3, 1_000),
}


MORE = pytest.mark.slow("seconds for every history")
LONG = pytest.mark.nightly("a minute for every history; longer ones are searched there too")
#: Histories in which orders are evicted or closed have many more states.
HISTORIES = [
    pytest.param(name, marks=LONG if " " in name else MORE) if name != "shipping" else name for name in SCOPES
]


@pytest.mark.parametrize("name", HISTORIES)
def test_no_short_history_breaks_wherever_its_workers_end(name: str) -> None:
    length, kinds, least = SCOPE[name]
    count = Count()
    explore(name, length, 1, count, kinds)
    assert count.states >= least, str(count)


def _ending_of(name: str) -> str:
    """The ending of an order that nobody cancels and nothing delays."""
    return "COMPLETED" if name in ("accepted", "impatient") else name


@pytest.mark.parametrize("name", quick(ORDERS, "undeliverable", "impatient", mark=MORE))
def test_an_order_ends_in_whatever_sequence_its_records_come(name: str) -> None:
    order = Exploration(name, Budget())
    assert order.run() > 3_000
    ends = {"requested", "timed_out", _ending_of(name)}
    assert set(order.endings) == ends


@pytest.mark.parametrize("name", quick(ORDERS, mark=LONG))
def test_an_order_is_evicted_for_good_in_whatever_sequence_its_records_come(name: str) -> None:
    order = Exploration(name, Budget(nudges=0, evictions=2))
    assert order.run() > 10_000
    ends = {"requested", "closed", "purged", _ending_of(name)}
    assert set(order.endings) == ends


@pytest.mark.parametrize("name", quick(REFUNDS, "in parts", mark=MORE))
@pytest.mark.parametrize(
    "budget",
    [
        Budget(cancels=0, nudges=0),
        pytest.param(Budget(nudges=1, repeats=0), marks=MORE),
        pytest.param(Budget(cancels=0, nudges=0, losses=0, evictions=2), marks=MORE),
    ],
    ids=["lost and repeated", "nudged and cancelled", "evicted"],
)
def test_a_refund_is_whole_or_not_at_all_in_whatever_sequence_its_records_come(
    name: str, budget: Budget
) -> None:
    order = RefundExploration(name, budget)
    assert order.run() > 300
    assert "COMPLETED" in order.endings


@pytest.mark.parametrize(
    "budget", [Budget(), pytest.param(Budget(evictions=2), marks=MORE)], ids=["", "evicted"]
)
def test_an_order_that_a_cancellation_overtook_ends_cancelled_in_whatever_sequence_its_records_come(
    budget: Budget,
) -> None:
    order = CancelledFirst("accepted", budget)
    assert order.run() > 40
    assert set(order.endings) == {"requested", *(("closed", "purged") if budget.evictions else ())}


#: With an effect outside: besides it, a person may cancel the order.
CALM = Budget(nudges=0, losses=0, repeats=0)


@pytest.mark.parametrize("name", quick(EFFECTS, "begun, held", mark=MORE))
def test_no_provider_has_anything_of_an_order_that_a_cancellation_overtook(name: str) -> None:
    order = EffectCancelledFirst(name, CALM, EffectBudget(time_outs=1))
    assert order.run() > (500 if "begun" in name else 1)
    assert set(order.endings) == {"requested"}


@pytest.mark.parametrize("name", quick(EFFECTS, "courier", mark=MORE))
def test_an_effect_happens_once_or_not_at_all_whenever_its_provider_does_not_answer(name: str) -> None:
    order = EffectExploration(name, CALM, EffectBudget(time_outs=1))
    assert order.run() > 400
    assert "COMPLETED" in order.endings or any(word in name for word in ("declined", "over", "undeliverable"))


@pytest.mark.parametrize("name", quick(EFFECTS, mark=LONG))
@pytest.mark.parametrize(
    "effects",
    [
        EffectBudget(time_outs=1, webhooks=1),
        EffectBudget(time_outs=0, errors=1, zombies=1),
        EffectBudget(time_outs=0, days=1, zombies=1),
    ],
    ids=["webhooks", "errors and zombies", "days and zombies"],
)
def test_an_effect_happens_once_or_not_at_all_whatever_else_befalls_its_provider(
    name: str, effects: EffectBudget
) -> None:
    assert EffectExploration(name, CALM, effects).run() > 400
