"""The whole saga of one order, exhaustively: every sequence in which its records can be decided.

Whatever is on its way may come next, may come twice, or never; the order may be cancelled, and nudged although nothing
is late, also for the last time. Versions and times make no difference to what comes next, so they are left out: states
that are alike then are looked at once.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

from saga_app import topics
from saga_app.core import checkout
from saga_app.core.decision import At
from saga_app.core.order import Order
from saga_app.core.records import DeadlinePassed, Record
from saga_app.core.rows import OPEN_STATUSES, Account, Stock
from tests.simulation.services import FOLDS
from tests.simulation.violation import must
from tests.support.examples import cancel, delivery, deposit, placed
from tests.support.given import Tables

#: An order that nothing refuses, and one for each reason to refuse it.
ORDERS: Final[dict[str, dict[str, Any]]] = {
    "accepted": {},
    "over_limit": {"amount": "1000.00"},
    "insufficient_funds": {"amount": "100.01"},
    "unknown_sku": {"lines": [{"sku": "z", "quantity": 1}]},
    "out_of_stock": {"lines": [{"sku": "a", "quantity": 4}]},
    "undeliverable": {"country": "FR"},
}
#: More tries than these nobody needs.
MOST_TRIES: Final = 12

Rows = tuple[tuple[tuple[str, str], bytes], ...]


class Budget(NamedTuple):
    """What may still happen to the order."""

    cancels: int = 1
    nudges: int = 1
    losses: int = 1
    repeats: int = 1


class State(NamedTuple):
    """The rows of all services, what is on its way, and what may still happen."""

    rows: tuple[Rows, ...]
    on_its_way: tuple[Record, ...]
    budget: Budget


class Exploration:
    """All states of one order."""

    def __init__(self, name: str, budget: Budget) -> None:
        self.order = placed(
            "o1", **{"customer_id": "c1", "lines": [{"sku": "a", "quantity": 2}], **ORDERS[name]}
        )
        self.budget = budget
        self.endings: Counter[str] = Counter()
        self.transitions = 0
        self._known: dict[tuple[str, Rows, bytes], tuple[Rows, tuple[Record, ...]]] = {}
        self._bytes: dict[Record, bytes] = {}
        #: For each state those from which it follows without anything going wrong.
        self._before: dict[State, list[State]] = {}
        self._ended: list[State] = []

    def run(self) -> int:
        """Looks at every state; how many there are."""
        services: dict[str, Rows] = dict.fromkeys(topics.INBOXES, ())
        for record in (deposit("d1", "100.00"), delivery("d1", a=3), self.order):
            topic = topics.topic_of(record)
            services[topic], sends = self._decide(topic, services[topic], record)
        beginning = State(tuple(services.values()), sends, self.budget)
        self._before, waiting = {beginning: []}, [beginning]
        while waiting:
            state = waiting.pop()
            self._check(state)
            for after, calm in self._after(state):
                self.transitions += 1
                if after not in self._before:
                    self._before[after] = []
                    waiting.append(after)
                if calm:
                    self._before[after].append(state)
        self._everything_ends()
        return len(self._before)

    def _after(self, state: State) -> Iterator[tuple[State, bool]]:
        """What may come next, and whether that is what comes by itself."""
        budget = state.budget
        for at, record in enumerate(state.on_its_way):
            if at and record == state.on_its_way[at - 1]:
                continue
            rest = state.on_its_way[:at] + state.on_its_way[at + 1 :]
            yield self._decided(state, rest, record), True
            if budget.losses:
                yield state._replace(on_its_way=rest, budget=budget._replace(losses=budget.losses - 1)), False
            if budget.repeats:
                again = budget._replace(repeats=budget.repeats - 1)
                yield self._decided(state, state.on_its_way, record)._replace(budget=again), False
        if budget.cancels:
            cancelled = self._decided(state, state.on_its_way, cancel("o1"))
            yield cancelled._replace(budget=budget._replace(cancels=budget.cancels - 1)), False
        row = self._row(state)
        if row.status not in OPEN_STATUSES:
            return
        nudge = checkout.deadline("o1", row)
        if not state.on_its_way:
            yield self._decided(state, (), nudge), True
        elif budget.nudges:
            fewer = budget._replace(nudges=budget.nudges - 1)
            for last in (False, True):
                early = DeadlinePassed(order_id="o1", attempt=row.tries, last=last)
                # A nudge too is on its way for a while, and may be stale when it comes.
                way = _sorted((*state.on_its_way, early))
                yield state._replace(on_its_way=way, budget=fewer), False

    def _decided(self, state: State, rest: tuple[Record, ...], record: Record) -> State:
        number = topics.INBOXES.index(topics.topic_of(record))
        rows, sends = self._decide(topics.INBOXES[number], state.rows[number], record)
        return state._replace(
            rows=(*state.rows[:number], rows, *state.rows[number + 1 :]),
            on_its_way=_sorted((*rest, *sends)),
        )

    def _decide(self, topic: str, rows: Rows, record: Record) -> tuple[Rows, tuple[Record, ...]]:
        """A service's rows after the record, and what it sends: the same each time, so it is asked once."""
        spelled = self._bytes.get(record) or self._bytes.setdefault(record, repr(record).encode())
        known = self._known.get((topic, rows, spelled))
        if known is None:
            tables = Tables(FOLDS[topic])
            tables.bytes = dict(rows)
            decision = tables.fold.decide(record, At(1, 0), tables)
            tables.put(put._replace(row=_timeless(put.row)) for put in decision.puts)
            known = self._known[topic, rows, spelled] = tuple(sorted(tables.bytes.items())), decision.sends
        return known

    def _check(self, state: State) -> None:
        """I1 to I5, in every state."""
        row = self._row(state)
        by_topic = {topic: self._state(state, topic) for topic in topics.STEPS}
        states = list(by_topic.values())
        must(row.tries <= MOST_TRIES, "I11 alive", f"try {row.tries} of {states}")
        paid, held = by_topic[topics.PAYMENT] == "DONE", by_topic[topics.INVENTORY] == "DONE"
        account = Account.decode(_tables(topics.PAYMENT, state).bytes["accounts", "c1:GBP"])
        stock = Stock.decode(_tables(topics.INVENTORY, state).bytes["stock", "main:a"])
        order: Order = self.order.order
        must(account.balance == 100 - order.amount * paid, "I1 money", f"{account} when {states}")
        wanted = sum(line.quantity for line in order.lines if line.sku == "a")
        must(stock.available == 3 - wanted * held, "I2 stock", f"{stock} when {states}")
        must(account.balance >= 0 and stock.available >= 0, "I1 money", f"{account} {stock}")
        must(
            row.status != "COMPLETED" or states == ["DONE"] * len(topics.STEPS),
            "I4 all or nothing",
            f"completed: {states}",
        )
        must(row.status != "CANCELLED" or "DONE" not in states, "I4 all or nothing", f"cancelled: {states}")
        for here, following in pairwise(states):
            if here == "UNDONE":
                must(following in ("REFUSED", "UNDONE", "VOID"), "I5 reverse order", str(states))
            if following == "DONE":
                must(here == "DONE", "I5 in order", str(states))
        if not state.on_its_way and row.status not in OPEN_STATUSES:
            self.endings[str(row.reason or row.status)] += 1
            self._ended.append(state)

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

    def _row(self, state: State) -> Any:
        row = _tables(topics.CHECKOUT, state).order("o1")
        assert row is not None
        return row

    def _state(self, state: State, topic: str) -> str | None:
        row = _tables(topic, state).journal("o1")
        return None if row is None else str(row.state)


def _tables(topic: str, state: State) -> Tables:
    tables = Tables(FOLDS[topic])
    tables.bytes = dict(state.rows[topics.INBOXES.index(topic)])
    return tables


def _timeless(row: Any) -> Any:
    """The row as if all had happened before."""
    gone = {
        name: 0
        for name in ("version", "placed_at", "since", "ended_at", "done_at", "undone_at")
        if getattr(row, name, None) is not None
    }
    return row._replace(**gone)


def _sorted(records: tuple[Record, ...]) -> tuple[Record, ...]:
    return tuple(sorted(records, key=repr))
