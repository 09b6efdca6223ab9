"""Records that people send: orders, cancellations, deposits, deliveries, policies, and wrong ones."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from saga_app import topics, wire
from saga_app.core.errors import Fault
from saga_app.core.own_steps import OWN
from saga_app.core.records import (
    MOST_SEGMENTS,
    OrderPlaced,
    OrdersEvicted,
    PolicyChanged,
    Record,
    SegmentsClosed,
    SegmentsPurged,
    StepName,
    StockReason,
)
from saga_app.core.route import STEPS
from saga_app.core.rows import Status
from saga_app.kafka.messages import Message, Outgoing, outgoing
from tests.simulation.choices import Draws
from tests.simulation.oracle import journal_key, said
from tests.simulation.remote import Remote, ThingStatus
from tests.support.examples import (
    CAPTURED_LATER,
    adjustment,
    cancel,
    carrier,
    completed,
    countries,
    delivery,
    deposit,
    limit,
    orders_evicted,
    patience,
    placed,
    refund_opened,
    route_policy,
    segments_closed,
    segments_purged,
    withdrawal,
)

_AMOUNTS: Final = ("10.10", "0.30", "40.00", "70.07", "999.99", "1000.00", "0.00")
_CUSTOMERS: Final = ("c1", "c1", None, "c2")
#: Some amounts are in another currency; an account may be in one or in both.
_CURRENCY_OF: Final = {"70.07": "EUR", "70.00": "EUR"}
#: What is given back; None is all that is left. Every currency here has two digits.
_REFUNDS: Final = (None, "0.10", "10.00", "40.00", "70.07", "2000.00")
_RETURNS: Final = ((), (("a", 1),), (("a", 1), ("b", 1)), (("b", 2),))
_LIMITS: Final = ("60.00", "1000.00", "0.00")
#: Seconds; some orders leave it to the policy. The longest delay of the last is 510 s, less than `ending.SOON`.
_PATIENCES: Final = (None, None, None, 1, 400, 7_200)
_COUNTRIES: Final = ("GB", None, "GB", "FR")
_LINES: Final[tuple[dict[str, int], ...]] = ({}, {"a": 1}, {"a": 2}, {"a": 1, "b": 1}, {"b": 3}, {"z": 1})
#: A segment in which no order will be placed.
_FAR: Final = 1_000_000
_WAREHOUSES: Final = ("main", "main", "north")
_BAD: Final = (
    b"not a record",
    b'{"type":"OrderPlaced","order_id":1}',
    None,
    b'{"order_id":"o1","amount":1e99}',
)
#: What well-behaved people do, the simplest first, and what else some do.
GOOD: Final = (*["order"] * 6, *["deposit"] * 2, *["delivery"] * 2, "withdrawal", "adjustment")
ODD: Final = {
    "cancel": (*("cancel",) * 4, *("cancel first",) * 2),
    "bad input": ("bad", "misplaced", "other content", "unknown order", "marked"),
    "policy": ("limit", "countries", "patience") * 2,
    "evict": ("again",) * 6,
    "refund": ("refund",),
    "forge": ("evicted too far", "closed too far", "purged too far"),
}
#: Where there are providers, people change the carrier too.
AT_PROVIDERS: Final = ("carrier",)
#: Where there are own steps, people change the route.
ROUTES: Final = ("route",) * 2
_OWN: Final = tuple(own.step.name for own in OWN)
_BUILT_IN: Final = (StepName.PAYMENT, StepName.INVENTORY, StepName.SHIPPING)
_ROUTES: Final = (
    (*_OWN, *_BUILT_IN),
    (StepName.PAYMENT, *_OWN, StepName.INVENTORY, StepName.SHIPPING),
    (StepName.INVENTORY, *_OWN, StepName.PAYMENT, StepName.SHIPPING),
    (*_OWN, *_BUILT_IN, StepName.CAPTURE),
    _BUILT_IN,
)
#: How a payment goes: well; declined; declined at first; known later.
_TOKENS: Final = ("fine", "fine", "declined", "flaky", "slow")
#: How far a customer had come with a payment when the order was placed.
_BEGUN: Final = ("held", "held", "waiting", "done")


class Customers:
    """People outside: the records that they have sent, and those that cannot be applied."""

    def __init__(self, partitions: int, kinds: Sequence[str], lost_ways: bool) -> None:
        self.partitions = partitions
        self.kinds = kinds
        #: Whether some records are sent to a wrong partition.
        self.lost_ways = lost_ways
        self.orders: dict[str, OrderPlaced] = {}
        #: What people know of the endings of their orders.
        self.told: Mapping[str, Status] = {}
        #: Where customers pay before they order, if they do.
        self.front_end: Remote | None = None
        self._supplies = 0
        self._bad: set[bytes | None] = set()
        self._marked: set[bytes | None] = set()
        self._unknown: set[bytes | None] = set()
        self._evictions: set[bytes | None] = set()
        self._contents: defaultdict[str, set[bytes]] = defaultdict(set)

    def opening(self, scene: Draws) -> Iterator[Outgoing]:
        """Deposits and deliveries to begin with: little money and few articles."""
        for customer in ("c1", "c2"):
            amount = scene.pick(("50.10", "", "100.40", "1000.00"))
            if amount:
                yield self._good(deposit("first", amount, customer))
        if self.front_end is not None and scene.below(2):
            yield self._good(carrier("first", "courier"))
        if self.front_end is not None and scene.below(2):
            yield self._good(route_policy("first", *CAPTURED_LATER))
        if OWN:
            yield self._good(route_policy("own", *_ROUTES[0]))
        for warehouse in ("main", "north"):
            quantities = {sku: scene.below(5) for sku in ("a", "b")}
            held = {sku: quantity for sku, quantity in quantities.items() if quantity}
            if held:
                yield self._good(delivery("first", warehouse, **held))

    def give_back(self) -> None:
        """Most of what people do from now on is to ask for refunds."""
        self.kinds = (*self.kinds, *["refund"] * 20)

    def do(self, number: int) -> list[Outgoing]:
        """The next thing that somebody does."""
        draws = Draws(number)
        errands: dict[str, Callable[[Draws], list[Outgoing]]] = {
            "order": lambda draws: [self._good(self._order(draws))],
            "again": lambda draws: [self._good(self._again(draws))],
            "carrier": lambda draws: self._policy(
                draws, carrier(f"p{draws.below(3)}", draws.pick(("none", "courier")))
            ),
            "cancel": lambda draws: [self._good(cancel(self._some_order(draws)))],
            "refund": lambda draws: [self._good(self._refund(draws))],
            "unknown order": lambda draws: [self._unknown_ending()],
            "cancel first": lambda draws: [self._good(cancel(self._next_order(draws)))],
            "other content": lambda draws: [self._good(self._other_content(draws))],
            "deposit": lambda draws: [self._good(self._deposit(draws))],
            "delivery": lambda draws: [self._good(self._delivery(draws))],
            "withdrawal": lambda draws: [self._good(self._withdrawal(draws))],
            "adjustment": lambda draws: [self._good(self._adjustment(draws))],
            "limit": lambda draws: self._policy(draws, limit(f"p{draws.below(3)}", draws.pick(_LIMITS))),
            "countries": lambda draws: self._policy(
                draws, countries(f"p{draws.below(3)}", draws.pick(("FR", "GB")))
            ),
            "route": lambda draws: self._policy(
                draws, route_policy(f"p{draws.below(3)}", *draws.pick(_ROUTES))
            ),
            "patience": lambda draws: self._policy(
                draws, patience(f"p{draws.below(3)}", draws.pick((1, 60, 400, 7_200)))
            ),
            "bad": lambda draws: [self._bad_bytes(draws)],
            "misplaced": lambda draws: [self._misplaced(draws)],
            "marked": lambda draws: [self._sent_on_already(draws)],
            "evicted too far": lambda draws: [self._evicted_too_far(draws)],
            "closed too far": lambda draws: [
                self._closed_too_far(draws, segments_closed(first := draws.below(4), first + MOST_SEGMENTS))
            ],
            "purged too far": lambda draws: [self._closed_too_far(draws, segments_purged(_FAR, _FAR + 1))],
        }
        sent = errands[draws.pick(self.kinds)](draws)
        if self.lost_ways and draws.once_in(3):
            sent = [each._replace(partition=draws.below(self.partitions)) for each in sent[:1]] + sent[1:]
        return sent

    def explain(self, fault: Fault, message: Message) -> bool:
        """True if somebody sent a record that must become a dead letter for this reason."""
        value = message.value
        if fault in (Fault.UNREADABLE, Fault.INVALID, Fault.UNEXPECTED_RECORD):
            return value in self._bad
        if fault is Fault.WRONG_PARTITION:
            return value in self._marked
        if fault is Fault.CONTRADICTION:
            return value in self._evictions
        if fault is Fault.UNKNOWN_ORDER:
            # An ending that is repeated when its order is purged finds none.
            is_late = any(each in (value or b"") for each in (b'"RefundOpened"', b'"segment":'))
            return value in self._unknown or is_late
        if fault is Fault.CLOSED_ORDER:
            return b'"RefundOpened"' in (value or b"")
        if fault is Fault.DIFFERENT_CONTENT:
            return any(len(contents) > 1 and value in contents for contents in self._contents.values())
        return False

    def _good(self, record: Record) -> Outgoing:
        what = said(record)
        self._contents[f"{what.topic} {journal_key(record)}"].add(what.value or b"")
        return Outgoing(what.topic, what.key, what.value)

    def _order(self, draws: Draws) -> OrderPlaced:
        id_ = f"o{len(self.orders) + 1}"
        lines = [{"sku": sku, "quantity": count} for sku, count in draws.pick(_LINES).items()]
        fields = {"customer_id": draws.pick(_CUSTOMERS), "country": draws.pick(_COUNTRIES)}
        amount = draws.pick(_AMOUNTS)
        fields["currency"] = _CURRENCY_OF.get(amount, "GBP")
        if self.front_end is not None:
            fields |= self._payment(id_, amount, draws, self.front_end)
        order = placed(id_, amount, lines=lines, warehouse=draws.pick(_WAREHOUSES), **fields)
        # Drawn last: so the rest of the order is the same with and without it.
        order = order.model_copy(update={"patience": draws.pick(_PATIENCES)})
        self.orders[id_] = order
        return order

    def _payment(self, order_id: str, amount: str, draws: Draws, front_end: Remote) -> dict[str, str]:
        """At a provider, where it may have begun; or here."""
        how = draws.pick(("intents", "keyed", "begun", None))
        if how is None or (how == "begun" and amount == "0.00"):
            return {}
        if how != "begun":
            return {"payment_method": f"{how}:{draws.pick(_TOKENS)}"}
        token = draws.pick(_BEGUN)
        # What waits is held when the customer has agreed.
        thing = front_end.begin(order_id, "held" if token == "waiting" else token, ThingStatus(token))
        return {"payment_reference": f"intents:{thing}"}

    def _next_order(self, draws: Draws) -> str:
        """The id of an order that nobody has placed yet, or not for a while."""
        return f"o{len(self.orders) + 1 + draws.below(2)}"

    def _unknown_ending(self) -> Outgoing:
        what = said(completed("nobody"))
        self._unknown.add(what.value)
        return Outgoing(what.topic, what.key, what.value)

    def _again(self, draws: Draws) -> OrderPlaced:
        known = self.orders.get(self._some_order(draws))
        # What a customer has paid once does not pay for a second order with the same id.
        return self._order(draws) if known is None or known.payment_reference else known

    def _other_content(self, draws: Draws) -> OrderPlaced:
        known = self.orders.get(self._some_order(draws))
        return self._order(draws) if known is None else known.model_copy(update={"country": "DE"})

    def _some_order(self, draws: Draws) -> str:
        known = list(self.orders)
        return known[-1 - draws.below(len(known))] if known else "o1"

    def _deposit(self, draws: Draws) -> Record:
        # Ids of deposits may be those of orders.
        number = draws.below(4) + 1
        amount, customer = draws.pick(("10.10", "0.20", "70.00")), draws.pick(("c1", "c2"))
        return deposit(f"o{number}", amount, customer, _CURRENCY_OF.get(amount, "GBP"))

    def _delivery(self, draws: Draws) -> Record:
        quantities = {sku: draws.below(3) for sku in ("a", "b")}
        held = {sku: quantity for sku, quantity in quantities.items() if quantity} or {"a": 1}
        return delivery(f"o{draws.below(4) + 1}", draws.pick(_WAREHOUSES), **held)

    def _refund(self, draws: Draws) -> Record:
        amount = draws.pick(_REFUNDS)
        lines = draws.pick(_RETURNS) if amount is not None else ()
        is_back = bool(lines) or (amount is None and draws.below(2) > 0)
        fields = {"lines": lines, "restock": is_back}
        completed = [each for each in self.orders if self.told.get(each) is Status.COMPLETED]
        order = self._some_order(draws) if draws.once_in(4) or not completed else draws.pick(completed)
        return refund_opened(f"r{draws.below(3)}", amount, order, **fields)

    def _withdrawal(self, draws: Draws) -> Record:
        # Ids are those of orders and deposits too.
        amount, customer = draws.pick(("10.10", "0.10", "70.00")), draws.pick(("c1", "c2"))
        return withdrawal(f"o{draws.below(4) + 1}", amount, customer, _CURRENCY_OF.get(amount, "GBP"))

    def _adjustment(self, draws: Draws) -> Record:
        found = {sku: draws.below(5) - 2 for sku in ("a", "b", "z")}
        differences = {sku: quantity for sku, quantity in found.items() if quantity} or {"a": -1}
        reason = StockReason.STOCKTAKE
        if all(quantity < 0 for quantity in differences.values()):
            reason = draws.pick((StockReason.DAMAGE, StockReason.LOSS))
        return adjustment(f"o{draws.below(4) + 1}", reason, draws.pick(_WAREHOUSES), **differences)

    def _policy(self, draws: Draws, policy: PolicyChanged) -> list[Outgoing]:
        """One record, in any partition: the saga itself takes it to the others."""
        return [self._good(policy)._replace(partition=draws.below(self.partitions))]

    def _bad_bytes(self, draws: Draws) -> Outgoing:
        value = draws.pick(_BAD)
        self._bad.add(value)
        return Outgoing(draws.pick(topics.INBOXES), b"k", value)

    def _misplaced(self, draws: Draws) -> Outgoing:
        what = wire.encode(cancel("o1"))
        self._bad.add(what)
        return Outgoing(draws.pick(topics.INBOXES[1:]), b"o1", what)

    def _sent_on_already(self, draws: Draws) -> Outgoing:
        record = cancel("nobody")
        self._good(record)
        value = wire.encode(record)
        self._marked.add(value)
        return Outgoing(
            topics.CHECKOUT, b"nobody", value, draws.below(self.partitions), (("saga-sent-on", b"1"),)
        )

    def _evicted_too_far(self, draws: Draws) -> Outgoing:
        """Somebody else speaks as checkout: whole ranges of segments are closed, and orders that are not in them."""
        first = draws.pick((0, 5, _FAR))
        record = orders_evicted(
            first,
            first + MOST_SEGMENTS,
            *(tuple(self.orders) if first == _FAR else ()),
            step=draws.pick(tuple(step.name for step in STEPS)),
        )
        of = draws.below(self.partitions)
        forged = self._for_partition(draws, record.model_copy(update={"checkout_partition": of}))
        self._evictions.add(forged.value)
        return forged

    def _closed_too_far(self, draws: Draws, record: SegmentsClosed | SegmentsPurged) -> Outgoing:
        fields = {"partition_count": self.partitions} if isinstance(record, SegmentsClosed) else {}
        forged = self._for_partition(draws, record.model_copy(update=fields))
        self._bad.add(forged.value)
        return forged

    def _for_partition(
        self, draws: Draws, record: SegmentsClosed | SegmentsPurged | OrdersEvicted
    ) -> Outgoing:
        partition = draws.below(self.partitions)
        said = outgoing(record.model_copy(update={"partition": partition}))
        return Outgoing(said.topic, said.key, said.value, partition)
