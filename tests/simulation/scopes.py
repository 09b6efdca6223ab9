"""The small scopes in which every history of one inbox partition is looked at."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.core.records import Outcome, StepName
from tests.support.examples import (
    answered,
    cancel,
    completed,
    deadline,
    delivery,
    deposit,
    order,
    orders_evicted,
    part,
    patience,
    pay,
    placed,
    refund,
    refund_completed,
    refund_opened,
    refund_refused,
    release,
    repay,
    reserve,
    restock,
    retention_started,
    segments_closed,
    segments_purged,
    step_request,
    withdrawal,
)
from tests.support.given import SECOND
from tests.support.plan import ALPHABET, Sent


class Scope(NamedTuple):
    """The first records of each history of an inbox, and the records of which its sequences are made."""

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


def _closing_at_checkout() -> Scope:
    """Segments are closed, too early or not; the order ends again, and people repeat themselves."""
    closes = segments_closed(0, 2, "o1", retention_ms=2 * SECOND)
    return Scope(
        topics.CHECKOUT,
        (retention_started(segment_width=1), placed(), _ENDED),
        (closes, _OTHER, cancel(), _ENDED),
    )


def _purge_at_checkout() -> Scope:
    """An evicted order is purged, and its id is used again."""
    before = (retention_started(segment_width=1), placed(), _ENDED, segments_closed(0, 2, "o1"))
    return Scope(topics.CHECKOUT, before, (segments_purged(0, 2), _OTHER, cancel(), _ENDED), length=2)


def _cancelled_first_at_checkout() -> Scope:
    """A cancellation comes before its order, meets it, or leaves with its segment first; its id is used again."""
    closes = segments_closed(0, 2, "o1", retention_ms=SECOND)
    return Scope(
        topics.CHECKOUT, (retention_started(segment_width=1), cancel()), (closes, placed(), cancel(), _ENDED)
    )


def _patience_at_checkout() -> Scope:
    """Policies come before and behind an order, which is placed again, also with a patience of its own."""
    kinds = (placed(), patience("p1", 60), patience("p2", 1), deadline(last=True), placed(patience=60))
    return Scope(topics.CHECKOUT, (), kinds)


def _eviction_at_payment() -> Scope:
    """A paid order is evicted, its step requests come again, and its id is used again."""
    first = order(customer_id="c1")
    paid, evicts = step_request(pay(first)), orders_evicted(0, 1, "o1")
    again = step_request(pay(order(amount="41.00", customer_id="c1")), "0:1")
    kinds = (evicts, again, paid, step_request(refund(first)))
    return Scope(topics.PAYMENT, (deposit(), paid), kinds, {again: evicts})


def _evicted_at_inventory() -> Scope:
    """An order was evicted, its id is used again and evicted again; evictions come in the wrong sequence."""
    first, second = order(lines=(("a", 2), ("b", 1))), order(lines=(("a", 1),))
    evicts, evicts_again, too_far = (
        orders_evicted(*each, step=StepName.INVENTORY) for each in ((0, 1, "o1"), (1, 2, "o1"), (2, 3))
    )
    again = step_request(reserve(second), "0:1")
    return Scope(
        topics.INVENTORY,
        (delivery("d1", a=4, b=2), step_request(reserve(first)), evicts),
        (again, evicts_again, too_far, step_request(release(second), "0:1")),
        {evicts_again: again},
        length=2,
    )


def _withdrawals_at_payment() -> Scope:
    """Money goes otherwise than for an order: more than is there, and what is there."""
    kinds = (withdrawal(), deposit("d2"), withdrawal("w2", "10.00"), pay(order(customer_id="c1")))
    return Scope(topics.PAYMENT, (deposit("d1", "10.00"),), kinds)


def _payment_outside() -> Scope:
    """A payment at a provider, which says anything at any time."""
    first = order(customer_id="c1", payment_method="stripe:pm_1")
    kinds = (
        answered(Outcome.DONE, "pi_1"),
        refund(first),
        answered(Outcome.UNDONE, "pi_1"),
        answered(Outcome.PENDING, "pi_1", version=0),
        answered(Outcome.DONE, "pi_2"),
        answered(Outcome.REFUSED, "pi_1"),
        pay(first),
        answered(Outcome.UNKNOWN, version=0),
    )
    return Scope(topics.PAYMENT, (pay(first),), kinds)


def _refunds_at_payment() -> Scope:
    """Two refunds of a paid order, one for too much, one with another content, and the order's own requests."""
    first = order(customer_id="c1", lines=(("a", 2),))
    kinds = (
        repay(first, part("r1", "15.00")),
        repay(first, part("r2", "25.00", lines=(("a", 1),), restock=True)),
        repay(first, part("r3", "26.00")),
        repay(first, part("r1", "16.00")),
        pay(first),
        deposit("d2", "20.00"),
    )
    return Scope(topics.PAYMENT, (deposit(), pay(first)), kinds)


def _refunds_at_inventory() -> Scope:
    """Two refunds of a reserved order, one for too many units, and the order's own request."""
    first = order(lines=(("a", 2), ("b", 1)))
    kinds = (
        restock(first, part("r1", lines=(("a", 1),), restock=True)),
        restock(first, part("r2", lines=(("a", 1), ("b", 1)), restock=True)),
        restock(first, part("r3", lines=(("a", 2),), restock=True)),
        reserve(first),
    )
    return Scope(topics.INVENTORY, (delivery("d1", a=4, b=2), reserve(first)), kinds)


def _refunds_at_checkout() -> Scope:
    """Refunds of a completed order, which end, are nudged and come again; then its segment is closed."""
    kinds = (
        refund_opened("r1", "15.00"),
        step_request(refund_completed("r1"), "0:1"),
        refund_opened("r2"),
        deadline(),
        segments_closed(0, 2, "o1"),
        step_request(refund_refused("r2"), "0:1"),
    )
    return Scope(topics.CHECKOUT, (retention_started(segment_width=1), placed(), _ENDED), kinds)


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
    "patience at checkout": _patience_at_checkout(),
    "closing at checkout": _closing_at_checkout(),
    "purge at checkout": _purge_at_checkout(),
    "cancelled first at checkout": _cancelled_first_at_checkout(),
    "eviction at payment": _eviction_at_payment(),
    "evicted at inventory": _evicted_at_inventory(),
    "withdrawals at payment": _withdrawals_at_payment(),
    "payment outside": _payment_outside(),
    "refunds at payment": _refunds_at_payment(),
    "refunds at inventory": _refunds_at_inventory(),
    "refunds at checkout": _refunds_at_checkout(),
}
