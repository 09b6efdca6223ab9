"""Each order across the four services: one ending (I3), all or nothing (I4), undone in reverse (I5)."""

from collections import defaultdict
from functools import lru_cache
from typing import Final

from saga_app import topics
from saga_app.core import patience
from saga_app.core.decider import Verdict
from saga_app.core.order import Order
from saga_app.core.records import (
    CancellationRequested,
    DeadlinePassed,
    OrderPlaced,
    Outcome,
    Reason,
    RefundRequest,
    SegmentsClosed,
    StepAnswered,
)
from saga_app.core.retention.rows import EarlyCancellation, Segment
from saga_app.core.route import Route, is_captured_later, route_of
from saga_app.core.rows import (
    ASKED_STATES,
    OPEN_STATUSES,
    STANDING_STATES,
    ClosedOrder,
    JournalRow,
    OrderRow,
    State,
    Status,
    Tombstone,
)
from tests.simulation.effects import EffectsWatch
from tests.simulation.oracle import ExpectedDecision
from tests.simulation.refunds import RefundsWatch
from tests.simulation.violation import must

#: What each state of a step may become.
_AFTER: Final[dict[State | None, frozenset[State]]] = {
    None: frozenset({State.DONE, State.REFUSED, State.VOID, State.DOING, State.PREVENTING}),
    State.DOING: frozenset({State.DOING, State.PREVENTING, State.DONE, State.REFUSED, State.UNDONE}),
    State.PREVENTING: frozenset({State.PREVENTING, State.UNDOING, State.DONE, State.REFUSED, State.UNDONE}),
    State.UNDOING: frozenset({State.UNDOING, State.UNDONE}),
    State.DONE: frozenset({State.UNDONE, State.UNDOING, State.CAPTURING}),
    State.CAPTURING: frozenset({State.CAPTURING, State.CAPTURED}),
    State.CAPTURED: frozenset(),
    State.REFUSED: frozenset(),
    State.UNDONE: frozenset(),
    State.VOID: frozenset(),
}


@lru_cache(maxsize=256)
def _route(order: bytes) -> Route:
    return route_of(Order.model_validate_json(order))


class Sagas:
    """The status of each order after every record of every inbox."""

    def __init__(self) -> None:
        self.status: dict[str, Status] = {}
        self.ended_at: dict[str, int] = {}
        #: Orders that checkout has closed, and the endings of those whose ids were used again.
        self.closed: set[str] = set()
        self.reused: list[Status] = []
        #: By order, the inboxes of its steps, in sequence.
        self.routes: dict[str, tuple[str, ...]] = {}
        #: Orders that are purged: their ids are free.
        self.purged: set[str] = set()
        #: By order that is not placed, the time of the first cancellation of it; and how many orders met theirs.
        self.early: dict[str, int] = {}
        self.met = 0
        self.states: defaultdict[str, dict[str, State]] = defaultdict(dict)
        self.refunds = RefundsWatch()
        self.effects = EffectsWatch(self.status.get, self._may_be_taken)
        #: Orders that are captured behind the pivot, at a provider that authorises first.
        self.later: set[str] = set()
        #: By order, the seconds that it is patient, for good; None is the default.
        self.patience: dict[str, int | None] = {}
        #: By order, the providers that were asked.
        self.asked: defaultdict[str, set[str]] = defaultdict(set)

    def check(self, topic: str, told: ExpectedDecision) -> None:
        """After one record of that topic."""
        self.refunds.check(topic, told, self.status)
        for put in told.puts:
            if isinstance(put.row, ClosedOrder):
                must(
                    put.row.status is self.status[put.key],
                    "I3 one ending",
                    f"{put.key} is closed as {put.row}",
                )
                self.closed.add(put.key)
                must(self._old_enough(told, put.key), "I3 one ending", f"{put.key} is closed too early")
            if isinstance(put.row, OrderRow) and told.before is None:
                self._begins_anew(put.key)
                self._meets(put.key, put.row)
                if is_captured_later(Order.model_validate_json(put.row.order)):
                    self.later.add(put.key)
            if isinstance(put.row, OrderRow):
                self._waits(put.key, put.row, told)
                self._ordered(put.key, put.row)
                if isinstance(told.record, DeadlinePassed):
                    tried = told.record.attempt + 1
                    must(
                        put.row.tries == tried,
                        "I11 alive",
                        f"{put.key} is at try {put.row.tries}, not {tried}",
                    )
            elif isinstance(put.row, JournalRow) and ":" not in put.key:
                self._of_provider(topic, put.key, put.row, told)
                if not isinstance(told.record, RefundRequest):
                    self._stepped(topic, put.key, put.row)

        if topic == topics.CHECKOUT:
            self._of_cancellations(told)

    def _of_cancellations(self, told: ExpectedDecision) -> None:
        """Cancellations that wait for their orders: they are named in their segments, and leave with them."""
        for put in told.puts:
            if isinstance(put.row, EarlyCancellation) and put.row.met_at is None:
                _is_named(put.key, put.row, told)
            if isinstance(put.row, Tombstone):
                self._removed(put.key, told)
        if isinstance(told.record, CancellationRequested):
            self._cancelled_first(told.record.order_id, told)

    def _cancelled_first(self, order: str, told: ExpectedDecision) -> None:
        """A cancellation that an inbox has, of an order that it does not have, or not any more."""
        is_here = told.verdict is not Verdict.SENT_ON and told.fault is None
        if is_here and (order not in self.status or order in self.purged):
            self.early.setdefault(order, told.time)

    def _removed(self, key: str, told: ExpectedDecision) -> None:
        kind, _, order = key.partition(":")
        if kind == "cancellation" and order in self.early:
            record = told.record
            must(
                isinstance(record, SegmentsClosed) and told.time - self.early[order] >= record.retention_ms,
                "I3 one ending",
                f"the cancellation of {order} is evicted too early",
            )
            del self.early[order]
        elif ":" not in key:
            self.purged.add(key)

    def _meets(self, order: str, row: OrderRow) -> None:
        """An order is cancelled as it comes if a cancellation has come before, and only then."""
        wanted = Status.OPEN if self.early.pop(order, None) is None else Status.CANCELLING
        must(row.status is wanted, "I3 one ending", f"{order} begins as {row.status}, and not as {wanted}")
        self.met += wanted is Status.CANCELLING

    def _is_shipped(self, order: str) -> bool:
        return self.states[order].get(topics.SHIPPING) is State.DONE

    def _may_be_taken(self, order: str) -> bool:
        return order not in self.later or self._is_shipped(order)

    def _waits(self, order: str, row: OrderRow, told: ExpectedDecision) -> None:
        """An order keeps the patience with which it was placed, and is given up at its last deadline alone."""
        if isinstance(told.record, OrderPlaced):
            self.patience[order] = row.patience
            own = told.record.patience
            must(own in (None, row.patience), "I11 alive", f"{order} says {own} s, its row {row.patience}")
        kept = self.patience[order]
        must(row.patience == kept, "I11 alive", f"{order} was patient for {kept} s, now {row.patience}")
        if isinstance(told.record, DeadlinePassed) and self.status.get(order) is Status.OPEN:
            at_end = patience.is_last(kept, told.record.attempt)
            given_up = row.reason is Reason.TIMED_OUT
            must(
                given_up is at_end,
                "I11 alive",
                f"{order}, patient for {kept} s, is {row.status} at try {row.tries}",
            )

    def _old_enough(self, told: ExpectedDecision, order: str) -> bool:
        """By the times of records, whatever the decider has looked at."""
        record = told.record
        return isinstance(record, SegmentsClosed) and told.time - self.ended_at[order] >= record.retention_ms

    def _begins_anew(self, order: str) -> None:
        """An id may be used again when the order that had it is purged."""
        if order in self.status:
            ended = self.status[order] not in OPEN_STATUSES
            must(ended and order in self.closed, "I3 one ending", f"{order} is placed again")
            self.reused.append(self.status.pop(order))
            self.states.pop(order, None)
            self.routes.pop(order, None)
            self.closed.discard(order)
            self.purged.discard(order)
            self.later.discard(order)
            self.asked.pop(order, None)
            self.effects.anew(order)
            self.refunds.anew(order)

    def _of_provider(self, topic: str, order: str, row: JournalRow, told: ExpectedDecision) -> None:
        """An answer that says nothing counts for the row that asked; another row only learns its reference from it."""
        must(row.conflict is None, "I13 one effect", f"{topic} of {order}: conflict {row.conflict}")
        if row.outside is not None:
            self.asked[order].add(row.outside.provider)
        record, before = told.record, told.before
        if isinstance(record, StepAnswered) and record.outcome in (Outcome.PENDING, Outcome.UNKNOWN):
            assert isinstance(before, JournalRow) and before.outside is not None and row.outside is not None
            is_news = before.outside.reference is None and row.outside.reference is not None
            must(
                is_news or record.version == before.version,
                "I13 one effect",
                f"{record} counts for version {before.version}",
            )

    def _ordered(self, order: str, row: OrderRow) -> None:
        before = self.status.get(order)
        must(
            before in (None, row.status) or before in OPEN_STATUSES, "I3 one ending", f"{order} left {before}"
        )
        route = tuple(topics.inbox(step.name) for step in _route(row.order).services)
        must(self.routes.setdefault(order, route) == route, "I7 one truth", f"{order} changed its route")
        self.status[order] = row.status
        if row.ended_at is not None:
            self.ended_at[order] = row.ended_at
        states = [self.states[order].get(step) for step in self.routes[order]]
        if row.status is Status.COMPLETED:
            is_captured = order in self.later and bool(self.asked[order] - {"courier"})
            paid = State.CAPTURED if is_captured else State.DONE
            must(
                states == [paid if each == topics.PAYMENT else State.DONE for each in self.routes[order]],
                "I4 all or nothing",
                f"{order} is completed, but {states}",
            )
        if row.status not in OPEN_STATUSES:
            doubt = ASKED_STATES.intersection(filter(None, states))
            must(not doubt, "I4 all or nothing", f"{order} ended in doubt: {states}")
            completed = row.status is Status.COMPLETED
            self.effects.at_end(order, completed=completed, asked=self.asked[order])
        if row.status is Status.CANCELLED:
            stand = STANDING_STATES.intersection(filter(None, states))
            must(not stand, "I4 all or nothing", f"{order} is cancelled, but {states}")

    def _stepped(self, topic: str, order: str, row: JournalRow) -> None:
        state = row.state
        must(order in self.status, "I6 nothing from nowhere", f"{topic} knows {order}, which was not placed")
        states, steps = self.states[order], self.routes[order]
        must(topic in steps, "I6 nothing from nowhere", f"{topic} knows {order}, which does not pass it")
        before, number = states.get(topic), steps.index(topic)
        ended = self.status[order] not in OPEN_STATUSES
        # An order that is refused first may still be told to steps that it never reached.
        must(
            not ended or state is State.VOID,
            "I4 all or nothing",
            f"{order} ended, and {topic} became {state}",
        )
        must(state in _AFTER[before], "I3 one ending", f"{topic} of {order} went from {before} to {state}")
        states[topic] = state
        if state is State.CAPTURING:
            must(self._is_shipped(order), "I13 captured behind the pivot", f"{order} is not shipped")
        if state in (State.DONE, State.DOING) and number:
            earlier = states.get(steps[number - 1])
            must(
                earlier is State.DONE,
                "I5 in order",
                f"{topic} did {order} when the step before was {earlier}",
            )
        if state in (State.UNDONE, State.UNDOING) and row.step is not topics.STEPS[topic].name:
            later = states.get(steps[number + 1])
            must(
                later in (State.REFUSED, State.UNDONE, State.VOID),
                "I5 reverse order",
                f"{topic} undid {order} when the step after was {later}",
            )


def _is_named(key: str, row: EarlyCancellation, told: ExpectedDecision) -> None:
    """A cancellation that waits leaves with its segment, or nothing would ever remove it."""
    named = [put.row.cancelled_ids for put in told.puts if isinstance(put.row, Segment)]
    must(
        row.segment is None or any(key == f"cancellation:{each}" for ids in named for each in ids),
        "I3 one ending",
        f"{key} is named in no segment",
    )
