"""Providers in memory: what they have, what they remember of keys, and a network that loses and delays both ways.

A request is under way until something happens to it: it is executed and answered; or it is executed, and the answer is
lost; or the caller gives it up, and it is executed later, when nobody waits for it any more.
"""

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple


class ThingStatus(StrEnum):
    """The status of a thing at a provider."""

    NEW = "new"
    #: Tried and declined; it may be tried again.
    FAILED = "failed"
    WAITING = "waiting"
    HELD = "held"
    DONE = "done"
    #: Less was captured than was held: no request of ours does that.
    PART = "part"
    CANCELED = "canceled"
    UNDOING = "undoing"
    UNDONE = "undone"


#: Behind the token of a thing whose money is held until it is captured.
LATER: Final = " and captured later"
#: Money that is taken, or held, or on its way back.
IN_EFFECT: Final = frozenset({ThingStatus.HELD, ThingStatus.DONE, ThingStatus.PART, ThingStatus.UNDOING})
TAKEN: Final = frozenset({ThingStatus.DONE, ThingStatus.PART})
#: A provider tells these by itself.
TOLD: Final = frozenset({ThingStatus.DONE, ThingStatus.CANCELED, ThingStatus.UNDONE})


class ProviderRequest(NamedTuple):
    """A request to a provider: the order that it is for, the thing that it is about, and an idempotency key."""

    what: str
    order: str
    thing: str | None = None
    key: str = ""
    token: str = ""
    #: Which of the orders that ever had this id, as an adapter tells it the provider.
    segment: str | None = None


class ProviderResponse(NamedTuple):
    """The thing as it was when the request was answered, which may be long ago where a key was known."""

    thing: str
    status: ThingStatus


class NotFound(Exception):
    """The provider has nothing of that name."""


class ServerError(Exception):
    """An error of the server: it does not say what it did before. Some repeat it as long as they know the key."""


#: A thing: its status, the order that it is for, and how it goes.
Thing = tuple[ThingStatus, str, str]


@dataclass
class Remote:
    """One provider."""

    name: str
    #: Called before an effect begins and after one has ended.
    watch: Callable[[str, str], None] = lambda order, what: None
    things: dict[str, Thing] = field(default_factory=dict)
    #: What was answered under a key; None is a server's error.
    keys: dict[str, ProviderResponse | None] = field(default_factory=dict)
    #: What it tells by itself: the thing as it was then, its order, and which of those that had this id.
    events: list[tuple[ProviderResponse, str, str | None]] = field(default_factory=list)
    segments: dict[str, str | None] = field(default_factory=dict)

    def begin(self, order: str, token: str, status: ThingStatus) -> str:
        """A thing that a customer began without us."""
        return self._new(order, token, status)

    def execute(self, request: ProviderRequest) -> ProviderResponse:
        """Everything that the provider does when a request has come."""
        if request.key and request.key in self.keys:
            # As it was answered then; only a look says what the thing is now.
            known = self.keys[request.key]
            if known is None:
                raise ServerError(request.key)
            return known
        if request.order:
            self.segments[request.order] = request.segment
        response = self._execute(request)
        if request.key:
            self.keys[request.key] = response
        return response

    def anew(self, order: str) -> None:
        """All its things for this order are of an earlier one with this id."""
        for thing, (status, of, token) in list(self.things.items()):
            if of == order:
                self.things[thing] = (status, f"{order}, before", token)
        self.segments.pop(order, None)

    def fail(self, request: ProviderRequest, *, after: bool) -> None:
        """An error of the server, before it did anything or after it, which it repeats under this key."""
        if after and request.key not in self.keys:
            with suppress(NotFound):
                self.execute(request)
        if request.key:
            self.keys[request.key] = None

    def forget(self) -> None:
        """A day passes: keys expire."""
        self.keys.clear()

    def of(self, order: str) -> list[tuple[str, ThingStatus]]:
        """The things that it has for an order."""
        return [(thing, status) for thing, (status, of, _) in self.things.items() if of == order]

    def decide(self, thing: str, *, well: bool) -> None:
        """A thing that waited for the customer, the bank or the refund goes on."""
        status, _, token = self.things[thing]
        if status is ThingStatus.UNDOING or (status is ThingStatus.HELD and token.endswith(LATER)):
            # A refund has arrived; or an authorisation has run out.
            self._put(thing, ThingStatus.UNDONE)
        elif status is ThingStatus.WAITING:
            self._put(thing, _taken(token) if well else ThingStatus.FAILED)

    def _execute(self, request: ProviderRequest) -> ProviderResponse:
        match request.what:
            case "create":
                made = self._new(request.order, request.token, ThingStatus.NEW)
                return ProviderResponse(made, ThingStatus.NEW)
            case "book":
                return self._book(request)
            case "find":
                found = self.of(request.order)
                if not found:
                    raise NotFound(request.order)
                return ProviderResponse(*found[-1])
        return self._change(request.what, request.thing or "")

    def _change(self, what: str, thing: str) -> ProviderResponse:
        """A request about a thing that there is; `look` changes nothing."""
        if thing not in self.things:
            raise NotFound(thing)
        status, _, token = self.things[thing]
        match what, status:
            case "confirm", ThingStatus.NEW | ThingStatus.FAILED:
                self._put(thing, _tried(status, token))
            case "capture", ThingStatus.HELD:
                self._put(thing, ThingStatus.DONE)
            case "name", ThingStatus.HELD if not token.endswith(LATER):
                self.things[thing] = (status, self.things[thing][1], token + LATER)
            case "cancel", ThingStatus.HELD if token.endswith(LATER):
                self._put(thing, ThingStatus.UNDONE)
            case "cancel", ThingStatus.NEW | ThingStatus.FAILED | ThingStatus.HELD:
                self._put(thing, ThingStatus.CANCELED)
            case "capture in part", ThingStatus.HELD:
                self._put(thing, ThingStatus.PART)
            case "cancel", ThingStatus.WAITING if not token.startswith("slow"):
                self._put(thing, ThingStatus.CANCELED)
            case "refund", ThingStatus.DONE:
                slow = token.startswith("slow")
                self._put(thing, ThingStatus.UNDOING if slow else ThingStatus.UNDONE)
        return ProviderResponse(thing, self.things[thing][0])

    def _book(self, request: ProviderRequest) -> ProviderResponse:
        """In one request: an effect, or a refusal."""
        if request.token.startswith("declined"):
            return ProviderResponse("", ThingStatus.CANCELED)
        status = _taken(request.token)
        return ProviderResponse(self._new(request.order, request.token, status), status)

    def _new(self, order: str, token: str, status: ThingStatus) -> str:
        thing = f"{self.name}_{len(self.things) + 1}"
        self.things[thing] = (ThingStatus.NEW, order, token)
        self._put(thing, status)
        return thing

    def _put(self, thing: str, status: ThingStatus) -> None:
        before, order, token = self.things[thing]
        self.things[thing] = (status, order, token)
        if status in TOLD and order in self.segments:
            self.events.append((ProviderResponse(thing, status), order, self.segments[order]))
        if (before in IN_EFFECT) != (status in IN_EFFECT) or status in TAKEN:
            self.watch(order, f"{thing} is {status}")


def _tried(before: ThingStatus, token: str) -> ThingStatus:
    if token.startswith("declined") or (token.startswith("flaky") and before is ThingStatus.NEW):
        return ThingStatus.FAILED
    return ThingStatus.WAITING if token.startswith("slow") else _taken(token)


def _taken(token: str) -> ThingStatus:
    return ThingStatus.HELD if token.startswith("held") or token.endswith(LATER) else ThingStatus.DONE


class PendingRequest:
    """A request that is under way. Awaited by the adapter that sent it."""

    def __init__(self, who: str, request: ProviderRequest) -> None:
        self.who = who
        self.request = request
        self.response: ProviderResponse | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.response is not None or self.error is not None

    def __await__(self) -> Generator["PendingRequest", None, ProviderResponse]:
        while not self.done:
            yield self
        if self.error is not None:
            raise self.error
        assert self.response is not None
        return self.response


class Network:
    """Requests under way between workers and one provider."""

    def __init__(self, remote: Remote, permitted: Callable[[str, ProviderRequest], None]) -> None:
        self.remote = remote
        self.permitted = permitted
        self.pending: list[PendingRequest] = []
        #: Given up by those who sent them, and maybe executed some time.
        self.late: list[ProviderRequest] = []

    def send(self, who: str, request: ProviderRequest) -> PendingRequest:
        self.permitted(who, request)
        pending = PendingRequest(who, request)
        self.pending.append(pending)
        return pending

    def answer(self, pending: PendingRequest, *, lost: bool = False) -> None:
        """The provider executes it; the answer comes, or gets lost."""
        self.pending.remove(pending)
        try:
            response = self.remote.execute(pending.request)
        except (NotFound, ServerError) as error:
            pending.error = error
            return
        if lost:
            pending.error = TimeoutError()
        else:
            pending.response = response

    def give_up(self, pending: PendingRequest, *, arrives: bool) -> None:
        """No answer in time; the request is lost, or still under way."""
        self.pending.remove(pending)
        pending.error = TimeoutError()
        if arrives:
            self.late.append(pending.request)

    def fail(self, pending: PendingRequest, *, saved: bool, after: bool) -> None:
        """An error of the server: a passing one, or one that it repeats; before it did anything, or after it."""
        self.pending.remove(pending)
        if saved:
            self.remote.fail(pending.request, after=after)
        pending.error = ServerError("503")

    def abandon(self, who: str) -> None:
        """A worker is no more, or has given up its calls; what it asked for may still come."""
        for pending in [each for each in self.pending if each.who == who]:
            self.give_up(pending, arrives=True)

    def arrive(self, request: ProviderRequest) -> None:
        self.late.remove(request)
        with suppress(NotFound, ServerError):
            self.remote.execute(request)
