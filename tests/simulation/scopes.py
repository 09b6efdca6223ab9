"""The small scopes in which every history of one inbox partition is looked at."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from saga_app import topics
from tests.support.examples import (
    begun,
    cancel,
    closed,
    completed,
    deposit,
    forgotten,
    left,
    order,
    pay,
    placed,
    refund,
    slip,
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


def _leaving_checkout() -> Scope:
    """An ended order is closed, too early or not, and forgotten; its id is used again; people repeat themselves."""
    ended = slip(completed(), "0:1")
    return Scope(
        topics.CHECKOUT,
        (begun(width=1), placed(), ended),
        (closed(0, 2, "o1", after=2 * SECOND), forgotten(0, 2), placed(amount="41.00"), cancel(), ended),
    )


def _leaving_payment() -> Scope:
    """A paid order leaves, its slips come again, its id is used again, and leavings come in the wrong sequence."""
    first = order(customer_id="c1")
    paid, leaves = slip(pay(first)), left(0, 1, "o1")
    again = slip(pay(order(amount="41.00", customer_id="c1")), "0:7")
    following, too_far = left(1, 2), left(2, 3)
    return Scope(
        topics.PAYMENT,
        (deposit(), paid),
        (leaves, again, too_far, following, paid, slip(refund(first))),
        dict.fromkeys((again, too_far, following), leaves),
    )


#: By name.
SCOPES: Final[Mapping[str, Scope]] = {
    # A deposit; then do, undo, another's do, other content, a policy, a second deposit.
    "payment": _plain(topics.PAYMENT, (2,), (0, 1, 3, 7, 5, 6)),
    # A delivery; then do, undo, another's do, other content, a second delivery.
    "inventory": _plain(topics.INVENTORY, (2,), (0, 1, 3, 6, 5)),
    # Do, undo, another's do, a policy, other content.
    "shipping": _plain(topics.SHIPPING, (), (0, 1, 2, 4, 5)),
    # Placed; then placed again, cancelled, two deadlines, both endings.
    "checkout": _plain(topics.CHECKOUT, (0,), (0, 1, 2, 3, 4, 5)),
    "leaving checkout": _leaving_checkout(),
    "leaving payment": _leaving_payment(),
}
