"""One order with an effect outside, exhaustively: as in `one_order`, with every sequence of what a provider does.

The adapters are those of the simulator. A call that is under way is kept as its row and what its requests have brought
so far: it is made anew from that whenever it goes on, so equal states are equal.
"""

from collections.abc import Generator, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from saga_app import topics
from saga_app.core import outside, route
from saga_app.core.order import routed
from saga_app.core.records import DeadlinePassed, Outcome, Record, StepAnswered, StepName
from saga_app.core.rows import ASKED_STATES, JournalRow, OrderRow, State
from saga_app.effects import calls
from saga_app.effects.ports import Answer, Call
from tests.simulation.adapters import ADAPTERS, LIFETIME, fact
from tests.simulation.one_order import Budget, CancelledFirst, Exploration, OrderState, also, tables_in
from tests.simulation.remote import (
    IN_EFFECT,
    TAKEN,
    NotFound,
    ProviderRequest,
    ProviderResponse,
    Remote,
    ServerError,
    Thing,
    ThingStatus,
)
from tests.simulation.violation import must
from tests.support.examples import CAPTURED_LATER, carrier, route_policy


class ExploredEffect(NamedTuple):
    """At which step, at what kind of provider, and with which fields of the order."""

    step: StepName
    kind: str
    fields: Mapping[str, Any] = MappingProxyType({})
    #: The payment is authorised, and captured behind the pivot.
    later: bool = False


_BEGUN: Final = {"payment_reference": "intents:intents_1"}
_ABROAD: Final = {"country": "FR"}
EFFECTS: Final[dict[str, ExploredEffect]] = {
    "intents, fine": ExploredEffect(StepName.PAYMENT, "intents", {"payment_method": "intents:fine"}),
    "intents, declined": ExploredEffect(StepName.PAYMENT, "intents", {"payment_method": "intents:declined"}),
    "intents, flaky": ExploredEffect(StepName.PAYMENT, "intents", {"payment_method": "intents:flaky"}),
    "intents, slow": ExploredEffect(StepName.PAYMENT, "intents", {"payment_method": "intents:slow"}),
    "intents, undeliverable": ExploredEffect(
        StepName.PAYMENT, "intents", {"payment_method": "intents:fine", **_ABROAD}
    ),
    "begun, held": ExploredEffect(StepName.PAYMENT, "intents", _BEGUN),
    "begun, waiting": ExploredEffect(StepName.PAYMENT, "intents", _BEGUN),
    "begun, over the limit": ExploredEffect(StepName.PAYMENT, "intents", {**_BEGUN, "amount": "1000.00"}),
    "begun, undeliverable": ExploredEffect(StepName.PAYMENT, "intents", {**_BEGUN, **_ABROAD}),
    "keyed, fine": ExploredEffect(StepName.PAYMENT, "keyed", {"payment_method": "keyed:fine"}),
    "keyed, declined": ExploredEffect(StepName.PAYMENT, "keyed", {"payment_method": "keyed:declined"}),
    "keyed, undeliverable": ExploredEffect(
        StepName.PAYMENT, "keyed", {"payment_method": "keyed:slow", **_ABROAD}
    ),
    "courier": ExploredEffect(StepName.SHIPPING, "courier"),
    "captured later": ExploredEffect(
        StepName.PAYMENT, "intents", {"payment_method": "intents:fine"}, later=True
    ),
    "captured later, undeliverable": ExploredEffect(
        StepName.PAYMENT, "intents", {"payment_method": "intents:fine", **_ABROAD}, later=True
    ),
    "begun, captured later": ExploredEffect(StepName.PAYMENT, "intents", _BEGUN, later=True),
    "keyed, captured later": ExploredEffect(
        StepName.PAYMENT, "keyed", {"payment_method": "keyed:fine"}, later=True
    ),
}


class EffectBudget(NamedTuple):
    """The events that may still happen at a provider.

    Requests without an answer in time; workers that end, or are replaced, in the middle of a call; days that pass;
    events that a provider tells by itself; errors of its server; and authorisations that run out.
    """

    time_outs: int = 1
    zombies: int = 0
    days: int = 0
    webhooks: int = 0
    errors: int = 0
    expiries: int = 0


Brought = tuple[ProviderResponse | str, ...]


class Flight(NamedTuple):
    """A call that is under way: the row that it was made from, and what its requests have brought."""

    state: State
    reference: str | None
    is_old: bool
    brought: Brought = ()


class ProviderState(NamedTuple):
    """The provider, what is under way to it, and what may still happen."""

    budget: EffectBudget
    things: tuple[tuple[str, Thing], ...] = ()
    keys: tuple[tuple[str, ProviderResponse | None], ...] = ()
    flights: tuple[Flight, ...] = ()
    late: tuple[ProviderRequest, ...] = ()
    is_old: bool = False

    def spent(self, name: str) -> "ProviderState":
        """One of these fewer may happen."""
        return self._replace(budget=self.budget._replace(**{name: getattr(self.budget, name) - 1}))


class Asked(BaseException):
    """A request, on its way out of an adapter."""

    def __init__(self, request: ProviderRequest) -> None:
        super().__init__(request)
        self.request = request


class _Replayed:
    """Awaited by an adapter: a response that came before, or the end of those that are known."""

    def __init__(self, request: ProviderRequest, brought: list[ProviderResponse | str]) -> None:
        self.request = request
        self.brought = brought

    def __await__(self) -> Generator[None, None, ProviderResponse]:
        if not self.brought:
            raise Asked(self.request)
        what = self.brought.pop(0)
        if isinstance(what, str):
            raise _ERRORS[what]
        return what
        yield


_ERRORS: Final[dict[str, type[Exception]]] = {
    "time out": TimeoutError,
    "not found": NotFound,
    "error": ServerError,
}


class EffectExploration(Exploration):
    """All states of one order and one provider."""

    def __init__(self, name: str, budget: Budget, effects: EffectBudget) -> None:
        step, self.kind, fields, self.later = EFFECTS[name]
        super().__init__(name, budget, fields)
        self.of = routed(self.order.order, CAPTURED_LATER) if self.later else self.order.order
        self.step = route.step(step)
        self.topic = topics.inbox(step)
        things: tuple[tuple[str, Thing], ...] = ()
        if name.startswith("begun"):
            status = ThingStatus.WAITING if "waiting" in name else ThingStatus.HELD
            things = (("intents_1", (status, "o1", "held")),)
        if self.kind == "courier":
            self.before = (*self.before, carrier("p1", "courier"))
        if self.later:
            self.before = (*self.before, route_policy("p1", *CAPTURED_LATER))
        if "over" in name or self.later:
            # The rule refuses it and it is undone there, or its authorisation runs out, with no row behind it.
            self.turned_first = (None,)
        self.provider = ProviderState(effects, things)
        self._next_of: dict[Flight, ProviderRequest | Answer] = {}

    def is_at_rest(self, state: OrderState) -> bool:
        return super().is_at_rest(state) and not state.provider.flights

    def nudged(self, state: OrderState, row: OrderRow) -> Iterator[tuple[OrderState, bool]]:
        """While a provider is asked the deadlines pass as elsewhere; here the first is the last, to save states."""
        step_row = self._step_row(state)
        if step_row is None or step_row.state not in ASKED_STATES:
            yield from super().nudged(state, row)
        elif self.is_at_rest(state) and row.tries < 2:
            last = DeadlinePassed(order_id="o1", attempt=row.tries, last=True)
            yield self.decided(state, (), last), True

    def after_outside(self, state: OrderState) -> Iterator[tuple[OrderState, bool]]:
        out: ProviderState = state.provider
        row = self._step_row(state)
        if row is not None and row.outside is not None and row.state in ASKED_STATES:
            yield from self._called(state, row)
            yield from self._resolved(state, row)
        for number, flight in enumerate(out.flights):
            rest = out._replace(flights=out.flights[:number] + out.flights[number + 1 :])
            yield from self._flown(state, rest, flight)
        for number, request in enumerate(out.late):
            rest = out._replace(late=out.late[:number] + out.late[number + 1 :])
            yield self._executed(state, rest, request)[0], False
            # It may never come.
            yield _with(state, rest), True
        for thing, (status, _, _) in out.things:
            if status is ThingStatus.HELD and self.later and out.budget.expiries:
                remote = _remote(out)
                remote.decide(thing, well=False)
                yield self._told(state, out.spent("expiries"), remote, thing), False
            if status in (ThingStatus.WAITING, ThingStatus.UNDOING):
                for well in (True, False):
                    remote = _remote(out)
                    remote.decide(thing, well=well)
                    yield self._told(state, out, remote, thing), True
        if out.budget.days and not out.is_old:
            after = out.spent("days")._replace(keys=(), is_old=True)
            if self.kind != "intents":
                # Where keys are the only guard, what is held back for longer than they last would be done twice.
                after = after._replace(flights=(), late=())
            yield _with(state, after), False

    def _called(self, state: OrderState, row: JournalRow) -> Iterator[tuple[OrderState, bool]]:
        """A worker makes the call that a row asks for; another one may be at it, or has just answered."""
        out: ProviderState = state.provider
        assert row.outside is not None
        # Whoever has answered waits for what comes of it.
        waits = bool(out.flights) or any(isinstance(record, StepAnswered) for record in state.on_its_way)
        if not waits or (out.budget.zombies and len(out.flights) < 2):
            flight = Flight(row.state, row.outside.reference, out.is_old)
            left = out.spent("zombies") if waits else out
            yield _with(state, left._replace(flights=_sorted((*out.flights, flight)))), not waits

    def _resolved(self, state: OrderState, row: JournalRow) -> Iterator[tuple[OrderState, bool]]:
        """A person looks, where a provider has forgotten its keys, or repeats an error for them, and has nothing.

        Or where it has let go what should be captured.
        """
        out: ProviderState = state.provider
        if row.state is State.CAPTURING and row.conflict is not None and not state.on_its_way:
            paid = Answer(Outcome.CAPTURED, "paid-again")
            yield also(state, self._record(row, paid).model_copy(update={"settles": True})), True
            return
        nothing = not (out.flights or out.late or out.things or state.on_its_way)
        is_lost = out.is_old or any(known is None for _, known in out.keys)
        if self.kind != "intents" and nothing and is_lost:
            yield also(state, self._record(row, Answer(Outcome.REFUSED))), True

    def _flown(
        self, state: OrderState, rest: ProviderState, flight: Flight
    ) -> Iterator[tuple[OrderState, bool]]:
        """Each next state of a call."""
        following = self._next(flight)
        if isinstance(following, Answer):
            yield also(_with(state, rest), calls.answered(self._call(flight), following, 0)), True
            return
        after, response = self._executed(state, rest, following)
        yield _brought(after, flight, response), True
        budget = rest.budget
        if budget.time_outs:
            late = rest._replace(late=tuple(sorted({*rest.late, following}, key=repr)))
            for without in (_with(state, rest), after, _with(state, late)):
                spent = _with(without, without.provider.spent("time_outs"))
                yield _brought(spent, flight, "time out"), False
        if budget.errors:
            yield from self._failed(state, rest.spent("errors"), flight, following)
        if budget.zombies:
            # The worker ends; the request is still on its way, and nobody will hear the answer.
            gone = rest.spent("zombies")
            late = gone._replace(late=tuple(sorted({*rest.late, following}, key=repr)))
            yield _with(state, late), False

    def _failed(
        self, state: OrderState, rest: ProviderState, flight: Flight, request: ProviderRequest
    ) -> Iterator[tuple[OrderState, bool]]:
        """A server's error: passing, or saved under the key, before it did anything or after it."""
        for is_saved, after in ((False, False), (True, False), (True, True)):
            remote = _remote(rest)
            if is_saved:
                try:
                    remote.fail(request, after=after)
                except (NotFound, ServerError):
                    continue
            names = [each for each, _ in remote.of("o1")]
            thing = request.thing or (names[-1] if names else "")
            yield _brought(self._told(state, rest, remote, thing), flight, "error"), False

    def _executed(
        self, state: OrderState, out: ProviderState, request: ProviderRequest
    ) -> tuple[OrderState, ProviderResponse | str]:
        remote = _remote(out)
        try:
            response: ProviderResponse | str = remote.execute(request)
        except NotFound:
            response = "not found"
        except ServerError:
            response = "error"
        thing = response.thing if isinstance(response, ProviderResponse) else ""
        return self._told(state, out, remote, thing), response

    def _told(self, state: OrderState, out: ProviderState, remote: Remote, thing: str) -> OrderState:
        """The provider as it is now; it may say by itself what it knows."""
        after = out._replace(
            things=tuple(sorted(remote.things.items())), keys=tuple(sorted(remote.keys.items()))
        )
        is_changed = dict(after.things).get(thing) != dict(out.things).get(thing)
        row = self._step_row(state)
        if not (is_changed and out.budget.webhooks and row is not None and row.outside is not None):
            return _with(state, after)
        answer = fact(ProviderResponse(thing, remote.things[thing][0]), later=self.later)
        if answer.outcome is Outcome.PENDING:
            return _with(state, after)
        return also(_with(state, after.spent("webhooks")), self._record(row, answer))

    def _next(self, flight: Flight) -> ProviderRequest | Answer:
        """The next request of a call, or its answer."""
        known = self._next_of.get(flight)
        if known is None:
            known = self._next_of[flight] = self._ask(flight)
        return known

    def _ask(self, flight: Flight) -> ProviderRequest | Answer:
        brought = list(flight.brought)
        adapter = ADAPTERS[self.kind](lambda request: _Replayed(request, brought))  # type: ignore[arg-type, return-value]
        call = self._call(flight)
        asking = getattr(adapter, call.action)(call)
        try:
            asking.send(None)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        except Asked as asked:
            return asked.request
        except tuple(_ERRORS.values()):
            return Answer(Outcome.UNKNOWN)
        raise AssertionError

    def _call(self, flight: Flight) -> Call:
        action, age = outside.ASKS[flight.state], LIFETIME if flight.is_old else 0
        return Call(action, "saga:x", self.step.name, self.of, None, flight.reference, 0, age)

    def _record(self, row: JournalRow, answer: Answer) -> Record:
        """From an event of the provider, or from a person; about the row as it is now."""
        assert row.outside is not None
        reference = row.outside.reference
        call = Call(outside.Action.DO, "saga:x", self.step.name, self.of, None, reference, 0, 0)
        return calls.answered(call, answer)

    def _step_row(self, state: OrderState) -> JournalRow | None:
        return tables_in(self.topic, state).journal("o1")

    def check(self, state: OrderState) -> None:
        """I13 besides: one effect at any moment, none of a cancelled order, and that of a completed one is kept."""
        super().check(state)
        row = self.row(state)
        status = None if row is None else str(row.status)
        out: ProviderState = state.provider
        there = [(thing, each) for thing, (each, _, _) in out.things if each in IN_EFFECT]
        must(len(there) <= 1, "I13 one effect", f"{there} when it is {status}")
        must(status != "CANCELLED" or not there, "I13 one effect", f"cancelled, and {there}")
        step_row = self._step_row(state)
        ran_out = self.provider.budget.expiries > out.budget.expiries
        must(
            ran_out or step_row is None or step_row.conflict is None, "I13 one effect", f"conflict {step_row}"
        )
        is_kept = [each for _, each in there] == [ThingStatus.DONE]
        must(status != "COMPLETED" or is_kept or ran_out, "I13 one effect", f"completed, and {there}")
        if self.later and any(each in TAKEN for _, each in there):
            shipped = tables_in(topics.SHIPPING, state).journal("o1")
            is_past = shipped is not None and shipped.state is State.DONE
            must(is_past, "I13 captured behind the pivot", f"{there} when it is not shipped")


class EffectCancelledFirst(EffectExploration):
    """All states of an order that a cancellation overtook, and of its provider."""

    before = CancelledFirst.before


def _with(state: OrderState, out: ProviderState) -> OrderState:
    return state._replace(provider=out)


def _brought(state: OrderState, flight: Flight, what: ProviderResponse | str) -> OrderState:
    out: ProviderState = state.provider
    flown = flight._replace(brought=(*flight.brought, what))
    return _with(state, out._replace(flights=_sorted((*out.flights, flown))))


def _remote(out: ProviderState) -> Remote:
    begun = bool(out.things) and out.things[0][0].startswith("intents")
    return Remote("intents" if begun else "r", things=dict(out.things), keys=dict(out.keys))


def _sorted(flights: tuple[Flight, ...]) -> tuple[Flight, ...]:
    return tuple(sorted(flights, key=repr))
