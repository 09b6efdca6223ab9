"""A check that the orders ended as they must. Speed is worth nothing otherwise."""

from collections import Counter
from collections.abc import Iterable, Mapping

from bench.load import COMPENSATIONS
from bench.watch import SeenOrders


class Wrong(Exception):
    """A candidate ended orders wrongly; the message has an example."""


def judge(seen: SeenOrders, expected: Mapping[str, str]) -> Counter[str]:
    """Orders by ending. Raises Wrong unless every order has ended in its one right way."""
    wrong = {
        order: sorted(seen.endings.get(order, set()))
        for order, ending in expected.items()
        if seen.endings.get(order, set()) != {ending}
    }
    if wrong:
        order, got = next(iter(wrong.items()))
        raise Wrong(
            f"{len(wrong)} of {len(expected)} orders ended wrong: {order} must end {expected[order]}, "
            f"it ended {' and '.join(got) or 'not at all'}"
        )
    if strangers := seen.endings.keys() - expected.keys():
        raise Wrong(f"{len(strangers)} orders ended that nobody placed, for example {min(strangers)}")
    return Counter(expected.values())


def compensated(found: int, endings: Iterable[Mapping[str, int]]) -> None:
    """Raises Wrong unless as many undo requests were sent as these endings take; more are repeats, and no fault."""
    needed = sum(COMPENSATIONS.get(kind, 0) * count for each in endings for kind, count in each.items())
    if found < needed:
        raise Wrong(f"{found} compensations were sent, but the endings take {needed}")
