"""The small scopes in which every history of one inbox partition is looked at."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.core.records import StepName
from tests.support.examples import (
    begun,
    cancel,
    closed,
    completed,
    delivery,
    deposit,
    forgotten,
    left,
    order,
    pay,
    placed,
    refund,
    release,
    reserve,
    step_request,
)
from tests.support.given import SECOND
from tests.support.plan import ALPHABET, Sent


class Scope(NamedTuple):
    """What each history of an inbox begins with, and the records of which its sequences are made."""

    topic: str
    before: tuple[Sent, ...]
    kinds: tuple[Sent, ...]
    #: Records that come only behind another one: whoever sends them has heard of it.
    behind: Mapping[Sent, Sent] = {}
    #: Records in its longest sequences, where everything is looked at. Where it begins with many, each more costs more.
    length: int = 3

    def histories(self, length: int, kinds: int | None = None) -> Iterator[tuple[Sent, ...]]:
        """With every sequence of up to so many records, of all kinds or of the first few."""
        for size in range(1, length + 1):
            for records in product(self.kinds[:kinds], repeat=size):
                if self._is_possible(records):
                    yield (*self.before, *records)

    def _is_possible(self, records: Sequence[Sent]) -> bool:
        return all(
            record not in self.behind or self.behind[record] in records[:number]
            for number, record in enumerate(records)
        )


def _plain(topic: str, before: Sequence[int], kinds: Sequence[int]) -> Scope:
    records = ALPHABET[topic]
    return Scope(topic, tuple(records[each] for each in before), tuple(records[each] for each in kinds))


_OTHER: Final = placed(amount="41.00")
_ENDED: Final = step_request(completed(), "0:1")


def _retention_at_checkout() -> Scope:
    """An order that ended is closed, too early or not; it ends again, and people repeat themselves."""
    closes = closed(0, 2, "o1", after=2 * SECOND)
    return Scope(topics.CHECKOUT, (begun(width=1), placed(), _ENDED), (closes, _OTHER, cancel(), _ENDED))


def _purge_at_checkout() -> Scope:
    """An order that has left is forgotten, and its id is used again."""
    before = (begun(width=1), placed(), _ENDED, closed(0, 2, "o1"))
    return Scope(topics.CHECKOUT, before, (forgotten(0, 2), _OTHER, cancel(), _ENDED), length=2)


def _eviction_at_payment() -> Scope:
    """A paid order leaves, its step requests come again, and its id is used again."""
    first = order(customer_id="c1")
    paid, leaves = step_request(pay(first)), left(0, 1, "o1")
    again = step_request(pay(order(amount="41.00", customer_id="c1")), "0:1")
    kinds = (leaves, again, paid, step_request(refund(first)))
    return Scope(topics.PAYMENT, (deposit(), paid), kinds, {again: leaves})


def _evicted_at_inventory() -> Scope:
    """An order has left, its id is used again and leaves again; leavings come in the wrong sequence."""
    first, second = order(lines=(("a", 2), ("b", 1))), order(lines=(("a", 1),))
    leaves, leaves_again, too_far = (
        left(*each, step=StepName.INVENTORY) for each in ((0, 1, "o1"), (1, 2, "o1"), (2, 3))
    )
    again = step_request(reserve(second), "0:1")
    return Scope(
        topics.INVENTORY,
        (delivery("d1", a=4, b=2), step_request(reserve(first)), leaves),
        (again, leaves_again, too_far, step_request(release(second), "0:1")),
        {leaves_again: again},
        length=2,
    )


#: By name.
SCOPES: Final[dict[str, Scope]] = {
    # A deposit; then do, undo, another's do, other content, a policy, a second deposit.
    "payment": _plain(topics.PAYMENT, (2,), (0, 1, 3, 7, 5, 6)),
    # A delivery; then do, undo, another's do, other content, a second delivery.
    "inventory": _plain(topics.INVENTORY, (2,), (0, 1, 3, 6, 5)),
    # Do, undo, another's do, a policy, other content.
    "shipping": _plain(topics.SHIPPING, (), (0, 1, 2, 4, 5)),
    # Placed; then placed again, cancelled, two deadlines, both endings.
    "checkout": _plain(topics.CHECKOUT, (0,), (0, 1, 2, 3, 4, 5)),
    "leaving checkout": _retention_at_checkout(),
    "forgetting checkout": _purge_at_checkout(),
    "leaving payment": _eviction_at_payment(),
    "left inventory": _evicted_at_inventory(),
}
