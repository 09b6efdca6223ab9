"""The whole saga of one order, exhaustively: every sequence in which its records can be decided.

Whatever is on its way may come next, may come twice, or never; the order may be cancelled, and nudged although nothing
is late, also for the last time; when it has ended it may be evicted, and purged. Versions and times make no difference
to what comes next, so they are left out: states that are alike then are looked at once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, NamedTuple

from saga_app import topics
from saga_app.core import checkout
from saga_app.core.decider import Position
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.core.order import Order
from saga_app.core.records import DeadlinePassed, Record
from saga_app.core.retention.rows import Total
from saga_app.core.route import DEFAULT
from saga_app.core.rows import (
    ASKED_STATES,
    OPEN_STATUSES,
    STANDING_STATES,
    Account,
    ClosedOrder,
    JournalRow,
    OrderRow,
    Stock,
)
from tests.simulation.services import DECIDERS
from tests.simulation.violation import must
from tests.support.examples import (
    cancel,
    delivery,
    deposit,
    placed,
    retention_started,
    segments_closed,
    segments_purged,
)
from tests.support.given import GivenTables

#: An order that nothing refuses, and one for each reason to refuse it.
ORDERS: Final[dict[str, dict[str, Any]]] = {
    "accepted": {},
    "over_limit": {"amount": "1000.00"},
    "insufficient_funds": {"amount": "100.01"},
    "unknown_sku": {"lines": [{"sku": "z", "quantity": 1}]},
    "out_of_stock": {"lines": [{"sku": "a", "quantity": 4}]},
    "undeliverable": {"country": "FR"},
    # Its first deadline is its last.
    "impatient": {"patience": 1},
}
#: More tries than these nobody needs.
MOST_TRIES: Final = 12
#: The state of a step whose row is evicted.
EVICTED: Final = "EVICTED"
#: The order is placed in segment 0, of two offsets; all that comes later comes when that is closed.
PLACED: Final = Position(Offset(1), 0)
LATER: Final = Position(Offset(2), 0)

Rows = tuple[tuple[tuple[str, str], bytes], ...]


class Budget(NamedTuple):
    """The events that may still happen to the order."""

    cancels: int = 1
    nudges: int = 1
    losses: int = 1
    repeats: int = 1
    #: Two: it is evicted, and purged.
    evictions: int = 0
    #: Refunds that people still ask for; see `one_refund`.
    refunds: int = 0


class OrderState(NamedTuple):
    """The rows of all services, the records on their way, and the events that may still happen."""

    rows: tuple[Rows, ...]
    on_its_way: tuple[Record, ...]
    budget: Budget
    #: The state of a provider outside, if there is one; see `one_effect`.
    provider: Any = None


class Exploration:
    """All states of one order."""

    #: Records that were decided before the order was placed, and the state of a provider.
    before: tuple[Record, ...] = ()
    provider: Any = None
    #: The inboxes of the order's steps, in sequence.
    steps: tuple[str, ...] = tuple(topics.inbox(step.name) for step in DEFAULT)
    #: What a step may have behind it when it turns round by itself.
    turned_first: tuple[str | None, ...] = ()

    def __init__(self, name: str, budget: Budget, fields: Mapping[str, Any] | None = None) -> None:
        fields = ORDERS[name] if fields is None else fields
        self.order = placed("o1", **{"customer_id": "c1", "lines": [{"sku": "a", "quantity": 2}], **fields})
        self.budget = budget
        self.endings: Counter[str] = Counter()
        self.transitions = 0
        self._known: dict[tuple[str, Rows, bytes], tuple[Rows, tuple[Record, ...]]] = {}
        self._bytes: dict[Record, bytes] = {}
        #: For each state those from which it follows without anything going wrong.
        self._before: dict[OrderState, list[OrderState]] = {}
        self._ended: list[OrderState] = []

    def run(self) -> int:
        """Looks at every state; how many there are."""
        services: dict[str, Rows] = dict.fromkeys(topics.INBOXES, ())
        retention = (retention_started(segment_width=2),) if self.budget.evictions else ()
        for record in (*retention, *self.before, deposit("d1", "100.00"), delivery("d1", a=3), self.order):
            topic = topics.topic_of(record)
            services[topic], sends = self._decide(topic, services[topic], record, PLACED)
        beginning = OrderState(tuple(services.values()), sends, self.budget, self.provider)
        self._before, waiting = {beginning: []}, [beginning]
        while waiting:
            state = waiting.pop()
            self.check(state)
            for after, calm in self._after(state):
                self.transitions += 1
                if after not in self._before:
                    self._before[after] = []
                    waiting.append(after)
                if calm:
                    self._before[after].append(state)
        self._everything_ends()
        return len(self._before)

    def _after(self, state: OrderState) -> Iterator[tuple[OrderState, bool]]:
        """Each possible next state, and True if it comes without people and faults."""
        budget = state.budget
        for at, record in enumerate(state.on_its_way):
            if at and record == state.on_its_way[at - 1]:
                continue
            rest = state.on_its_way[:at] + state.on_its_way[at + 1 :]
            yield self.decided(state, rest, record), True
            if budget.losses:
                yield state._replace(on_its_way=rest, budget=budget._replace(losses=budget.losses - 1)), False
            if budget.repeats:
                again = budget._replace(repeats=budget.repeats - 1)
                yield self.decided(state, state.on_its_way, record)._replace(budget=again), False
        if budget.cancels:
            cancelled = self.decided(state, state.on_its_way, cancel("o1"))
            yield cancelled._replace(budget=budget._replace(cancels=budget.cancels - 1)), False
        row = self.row(state)
        if isinstance(row, OrderRow) and row.is_under_way:
            yield from self.nudged(state, row)
        elif row is not None and budget.evictions:
            record = segments_closed(0, 1, "o1") if isinstance(row, OrderRow) else segments_purged(0, 1)
            yield also(state, record)._replace(budget=budget._replace(evictions=budget.evictions - 1)), False
        yield from self.after_outside(state)

    def after_outside(self, state: OrderState) -> Iterator[tuple[OrderState, bool]]:
        """Each next state by what may happen at a provider."""
        yield from ()

    def is_at_rest(self, state: OrderState) -> bool:
        """True if nothing is on its way."""
        return not state.on_its_way

    def nudged(self, state: OrderState, row: OrderRow) -> Iterator[tuple[OrderState, bool]]:
        budget = state.budget
        if self.is_at_rest(state):
            yield self.decided(state, (), checkout.deadline("o1", row)), True
        elif budget.nudges:
            for last in (False, True):
                early = DeadlinePassed(order_id="o1", attempt=row.tries, last=last)
                # A nudge too is on its way for a while, and may be stale when it comes.
                yield also(state, early)._replace(budget=budget._replace(nudges=budget.nudges - 1)), False

    def decided(self, state: OrderState, rest: tuple[Record, ...], record: Record) -> OrderState:
        number = topics.INBOXES.index(topics.topic_of(record))
        rows, sends = self._decide(topics.INBOXES[number], state.rows[number], record)
        return state._replace(
            rows=(*state.rows[:number], rows, *state.rows[number + 1 :]),
            on_its_way=_sorted((*rest, *sends)),
        )

    def _decide(
        self, topic: str, rows: Rows, record: Record, at: Position = LATER
    ) -> tuple[Rows, tuple[Record, ...]]:
        """A service's rows after the record, and its sends: the same each time, so they are computed once."""
        spelled = self._bytes.get(record) or self._bytes.setdefault(record, repr(record).encode())
        known = self._known.get((topic, rows, spelled))
        if known is None:
            tables = GivenTables(DECIDERS[topic])
            tables.bytes = dict(rows)
            known = self._known[topic, rows, spelled] = self._decide_once(tables, record, at)
        return known

    def _decide_once(
        self, tables: GivenTables, record: Record, at: Position
    ) -> tuple[Rows, tuple[Record, ...]]:
        try:
            decision = tables.decider.decide(record, at, tables)
        except Rejected as rejection:
            # What still comes for a purged order is set aside, and nothing else is.
            low_watermark = tables.low_watermark(0)
            is_purged = low_watermark is not None and low_watermark.purged_below == 1
            is_closed = rejection.fault is Fault.CLOSED_ORDER and isinstance(tables.order("o1"), ClosedOrder)
            must(is_purged or is_closed, "I8 accounted for", f"{record}: {rejection}")
            return tuple(sorted(tables.bytes.items())), ()
        tables.put(put._replace(row=_timeless(put.row)) for put in decision.puts)
        return tuple(sorted(tables.bytes.items())), decision.sends

    def check(self, state: OrderState) -> None:
        """I1 to I5, in every state."""
        row = self.row(state)
        by_topic = {topic: self._state(state, topic) for topic in self.steps}
        states = list(by_topic.values())
        if isinstance(row, OrderRow):
            must(row.tries <= MOST_TRIES, "I11 alive", f"try {row.tries} of {states}")
            asked = ASKED_STATES.intersection(filter(None, states))
            must(not asked or row.status in OPEN_STATUSES, "I4 all or nothing", f"ended in doubt: {states}")
        self._adds_up(state, by_topic)
        status = None if row is None else row.status
        must(
            status != "COMPLETED" or {*states} <= {"DONE", "CAPTURED", EVICTED},
            "I4 all or nothing",
            f"completed: {states}",
        )
        must(
            status != "CANCELLED" or STANDING_STATES.isdisjoint(filter(None, states)),
            "I4 all or nothing",
            f"cancelled: {states}",
        )
        for here, following in pairwise(states):
            if here in ("UNDONE", "UNDOING"):
                turned = ("REFUSED", "UNDONE", "VOID", EVICTED, *self.turned_first)
                must(following in turned, "I5 reverse order", str(states))
            if following == "DONE":
                must(here in (*STANDING_STATES, EVICTED), "I5 in order", str(states))
        is_over = not row.is_under_way if isinstance(row, OrderRow) else True
        if self.is_at_rest(state) and is_over:
            reason = row.reason if isinstance(row, OrderRow) else "closed" if row else "purged"
            self.endings[str(reason or status)] += 1
            self._ended.append(state)

    def _adds_up(self, state: OrderState, by_topic: Mapping[str, str | None]) -> None:
        """The balances moved by the amounts in the journals and in the totals of the evicted orders."""
        payments, reservations = tables_in(topics.PAYMENT, state), tables_in(topics.INVENTORY, state)
        account = Account.decode(payments.bytes["accounts", "c1:GBP"])
        stock = Stock.decode(reservations.bytes["stock", "main:a"])
        order: Order = self.order.order
        wanted = sum(line.quantity for line in order.lines if line.sku == "a")
        row = payments.journal("o1")
        is_outside = row is not None and row.outside is not None
        paid = by_topic[topics.PAYMENT] == "DONE" and not is_outside
        held = by_topic[topics.INVENTORY] == "DONE"
        spent, taken = _total(payments, "c1:GBP"), _total(reservations, "main:a")
        money, units = self.given_back(state)
        must(
            account.balance == 100 + spent - order.amount * paid + money,
            "I1 money",
            f"{account} when {by_topic}",
        )
        must(stock.available == 3 + taken - wanted * held + units, "I2 stock", f"{stock} when {by_topic}")
        must(account.balance >= 0 and stock.available >= 0, "I1 money", f"{account} {stock}")
        self.totals_are(spent, taken, wanted)

    def given_back(self, state: OrderState) -> tuple[Decimal, int]:
        """The money and the units that refunds have given back, while the order is not evicted."""
        return Decimal(0), 0

    def totals_are(self, spent: Decimal, taken: Decimal, wanted: int) -> None:
        """The totals are of this order, if it is evicted."""
        amount = self.order.order.amount
        must(spent in (0, -amount) and taken in (0, -wanted), "I1 money", f"totals {spent} and {taken}")

    def _everything_ends(self) -> None:
        """From every state an ending follows by itself (I11)."""
        reached, waiting = set(self._ended), list(self._ended)
        while waiting:
            for before in self._before[waiting.pop()]:
                if before not in reached:
                    reached.add(before)
                    waiting.append(before)
        stuck = next((state for state in self._before if state not in reached), None)
        must(stuck is None, "I11 alive", f"no ending follows from {stuck}")

    def row(self, state: OrderState) -> OrderRow | ClosedOrder | None:
        """None once the order is purged."""
        return tables_in(topics.CHECKOUT, state).order("o1")

    def _state(self, state: OrderState, topic: str) -> str | None:
        tables = tables_in(topic, state)
        if tables.low_watermark(0) is not None:
            must(tables.journal("o1") is None, "I3 one ending", f"{topic} has a row of an evicted order")
            return EVICTED
        row = tables.journal("o1")
        return None if row is None else str(row.state)


class CancelledFirst(Exploration):
    """All states of an order that a cancellation overtook."""

    before = (cancel("o1"),)


def also(state: OrderState, record: Record) -> OrderState:
    """The record is on its way too."""
    return state._replace(on_its_way=_sorted((*state.on_its_way, record)))


def _total(tables: GivenTables, balance: str) -> Decimal:
    """The amount that evicted orders moved there."""
    total = tables.entry(f"evicted:{balance}")
    return Decimal(total.moved) if isinstance(total, Total) else Decimal(0)


def tables_in(topic: str, state: OrderState) -> GivenTables:
    tables = GivenTables(DECIDERS[topic])
    tables.bytes = dict(state.rows[topics.INBOXES.index(topic)])
    return tables


def _timeless(row: Any) -> Any:
    """The row as if all had happened before."""
    at_zero: dict[str, Any] = {
        name: 0
        for name in ("version", "placed_at", "since", "ended_at", "done_at", "undone_at", "closed_at")
        if getattr(row, name, None) is not None
    }
    if isinstance(row, JournalRow) and row.outside is not None:
        # How often a provider was asked decides only when it is asked again.
        at_zero["outside"] = row.outside._replace(asked_at=0, tries=0, code=None)
    if isinstance(row, JournalRow):
        at_zero["refunds"] = tuple(
            each if each.done_at is None else each._replace(done_at=Offset(0)) for each in row.refunds
        )
    if isinstance(row, OrderRow):
        at_zero["refunds"] = tuple(
            each._replace(opened_at=Offset(0), since=0, ended_at=each.ended_at and 0) for each in row.refunds
        )
    return row._replace(**at_zero)


def _sorted(records: tuple[Record, ...]) -> tuple[Record, ...]:
    return tuple(sorted(records, key=repr))
