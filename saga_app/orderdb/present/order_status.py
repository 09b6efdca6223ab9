"""The status of an order from its copied rows: what it waits for, and when checkout asks again. No SQL here.

Topics are copied independently, so any row may be older than the others. Every function has an answer for every
combination of rows.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Self

from saga_app import topics
from saga_app.core import checkout, patience
from saga_app.core.numbers import NEVER
from saga_app.core.records import StepName
from saga_app.core.route import CAPTURE, STEPS, Route, route_named
from saga_app.core.rows import ASKED_STATES, OPEN_STATUSES, OrderRow, State, Status

Row = Mapping[str, Any]
#: The states of a step on the way back: it refused, or compensated, or had nothing to compensate.
BACK: Final = frozenset({State.REFUSED, State.UNDONE, State.VOID})
#: The states in which a provider is asked, on the way back.
GOING_BACK: Final = ASKED_STATES - {State.DOING, State.CAPTURING}
_STEP: Final = {step.name.value: step for step in STEPS}


class StepStatus(NamedTuple):
    """The row of a step. `at` is when it decided, `undone_at` when it compensated; None if not copied.

    `at` is when a provider was last asked for something else, or answered, where its state is an asked one.
    """

    state: State
    reason: str | None = None
    step: str | None = None
    at: int | None = None
    undone_at: int | None = None


class Waits(NamedTuple):
    """The service that an open order waits for, on its way forwards or, if `undoing`, back."""

    service: str
    undoing: bool

    @property
    def request(self) -> str:
        """The type of the record that the service must decide next."""
        if self.service == StepName.CHECKOUT:
            return "OrderCancelled" if self.undoing else "OrderCompleted"
        step = CAPTURE if self.service == CAPTURE.name else _STEP[self.service]
        return (step.compensation if self.undoing else step.do).__name__


class OrderStatus(NamedTuple):
    """An order, its route, and its steps by name. Times are Kafka's, in milliseconds.

    `first` has the time of the first record of each type; `patience` is in seconds, None for the default.
    """

    order_id: str
    status: Status
    reason: str | None
    step: str | None
    tries: int
    since: int
    placed_at: int
    ended_at: int | None
    route: Route
    steps: Mapping[str, StepStatus]
    first: Mapping[str, int]
    patience: int | None = None

    @classmethod
    def of(cls, order: Row, steps: Iterable[Row], events: Iterable[Row]) -> Self:
        """From the rows of `orders`, `order_steps` and `order_events`."""
        events = list(events)
        times = {(event["topic"], event["at_offset"]): event["time"] for event in events}
        first: dict[str, int] = {}
        for event in events:
            first[event["type"]] = min(event["time"], first.get(event["type"], event["time"]))
        fields = {name: order[name] for name in cls._fields if name in order}
        rows = {step["service"]: step for step in steps}
        done = {name: _done(rows[name], times) for name in _STEP if name in rows}
        if StepName.CAPTURE in (order["route"] or "").split(",") and StepName.PAYMENT in rows:
            payment, has_passed = rows[StepName.PAYMENT], order["status"] == Status.COMPLETED
            done |= _captured(payment, times, first, has_passed=has_passed)
        fields |= {"status": Status(order["status"]), "route": route_named(order["route"])}
        return cls(**fields, steps=done, first=first)

    @classmethod
    def of_listed(cls, row: Row) -> Self:
        """From a row of `queries.orders.page`, which has the states of the steps but not their times."""
        nothing = dict.fromkeys(("reason", "step", "version", "done_at", "undone_at"))
        steps = [{**nothing, "service": name, "state": row[name]} for name in _STEP if row[name]]
        return cls.of(row, steps, ())

    def is_asked(self, step: str) -> bool:
        """True if the provider of the step is asked."""
        return self.state(step) in ASKED_STATES

    @property
    def has_ended(self) -> bool:
        """True if nothing more happens to the order."""
        return self.status not in OPEN_STATUSES

    @property
    def is_past_pivot(self) -> bool:
        """True if the order will be completed, whatever comes."""
        return self.state(self.route.pivot.name) is State.DONE

    def state(self, step: str) -> State | None:
        """The state of the step; None if it has no row."""
        return self.steps[step].state if step in self.steps else None

    def waits_for(self) -> Waits | None:
        """The service that must act next, or None if the order has ended."""
        if self.has_ended:
            return None
        steps = self.route.steps
        if self.is_past_pivot:
            behind = steps[steps.index(self.route.pivot) + 1 :]
            ahead = next((step for step in behind if self.state(step.name) is not State.DONE), None)
            return Waits(StepName.CHECKOUT if ahead is None else ahead.name, undoing=False)
        asked_back = [step for step in steps if self.state(step.name) in GOING_BACK]
        if asked_back:
            return Waits(asked_back[0].name, undoing=True)
        turned = [step for step in steps if self.state(step.name) in BACK]
        if turned and self._turned_at_pivot:
            passed = steps[steps.index(turned[0]) : steps.index(self.route.pivot) + 1]
            unasked = [step for step in passed if self.state(step.name) not in BACK]
            if unasked:
                return Waits(unasked[-1].name, undoing=True)
        if turned:
            before = self.route.before(turned[0])
            return Waits(StepName.CHECKOUT if before is None else before.name, undoing=True)
        if self.status is Status.CANCELLING:
            return Waits(self.route.pivot.name, undoing=True)
        done = [place for place, step in enumerate(steps) if self.state(step.name) is State.DONE]
        return Waits(steps[done[-1] + 1 if done else 0].name, undoing=False)

    @property
    def _turned_at_pivot(self) -> bool:
        """True if a step refused, and the way back began at the pivot; see `route.turn`."""
        return self.status is Status.OPEN and self.route.pivot.compensation.__name__ in self.first

    def waits_since(self) -> int | None:
        """The time of the request that it waits for; None if it has not come to its inbox, or is not copied."""
        waits = self.waits_for()
        return None if waits is None else self.first.get(waits.request)

    def asked_again_at(self) -> int | None:
        """The time at which checkout asks again, unless the order has ended by then; see `checkout.due`."""
        return None if self.has_ended else checkout.due(self._row(self.since, self.tries))

    def undone_from(self) -> int | None:
        """The time at which checkout gives up and compensates; None if that has begun or is no longer possible."""
        if self.status is not Status.OPEN:
            return None
        at = self.since
        for tries in range(self.tries, max(patience.tries(self.patience), self.tries + 1)):
            at = checkout.due(self._row(at, tries))
        return at

    def _row(self, since: int, tries: int) -> OrderRow:
        return OrderRow(NEVER, self.status, NEVER, tries, since, b"", patience=self.patience)


def _done(step: Row, times: Mapping[tuple[str, int], int]) -> StepStatus:
    topic, state = topics.inbox(StepName(step["service"])), State(step["state"])
    if state in (State.CAPTURING, State.CAPTURED):
        # The payment is done; the other half of it is a step of its own.
        state = State.DONE
    if state in (State.DONE, State.UNDONE):
        at, undone = times.get((topic, step["done_at"])), times.get((topic, step["undone_at"]))
    else:
        at, undone = times.get((topic, step["version"])), None
    return StepStatus(state, step["reason"], step["step"], at, undone)


def _captured(
    payment: Row, times: Mapping[tuple[str, int], int], first: Mapping[str, int], *, has_passed: bool
) -> dict[str, StepStatus]:
    """Capture, by the row of the payment; `has_passed`: the order is completed, whether it had anything to capture."""
    state, at = State(payment["state"]), times.get((topics.PAYMENT, payment["version"]))
    if state is State.CAPTURING:
        return {CAPTURE.name: StepStatus(state, at=at)}
    if state is State.CAPTURED:
        return {CAPTURE.name: StepStatus(State.DONE, at=at)}
    if state is State.DONE and has_passed:
        return {CAPTURE.name: StepStatus(State.DONE, at=first.get(CAPTURE.do.__name__))}
    return {}
