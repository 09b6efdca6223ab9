"""Adapters of the simulated providers, as one writes them for two kinds of real ones."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Final

from saga_app.core.records import Outcome, StepAnswered
from saga_app.effects.ports import Answer, Call, Effect
from tests.simulation.remote import (
    LATER,
    NotFound,
    PendingRequest,
    ProviderRequest,
    ProviderResponse,
    ServerError,
    ThingStatus,
)

#: Milliseconds for which a provider remembers a key, and before the end of which an adapter relies on it no more.
LIFETIME: Final = 24 * 3_600_000
MARGIN: Final = 3 * 3_600_000
#: The code of an answer that only a person can improve.
ASK_PEOPLE: Final = "ask_people"
Send = Callable[[ProviderRequest], PendingRequest]

_FACTS: Final = {
    ThingStatus.DONE: Outcome.DONE,
    ThingStatus.CANCELED: Outcome.REFUSED,
    ThingStatus.UNDONE: Outcome.UNDONE,
}


#: The same of a payment that is captured later.
_LATER_FACTS: Final = {**_FACTS, ThingStatus.HELD: Outcome.DONE, ThingStatus.DONE: Outcome.CAPTURED}


def fact(response: ProviderResponse, *, later: bool = False) -> Answer:
    """The answer that follows from the status of a thing; `later`: its order is captured behind the pivot."""
    outcome = (_LATER_FACTS if later else _FACTS).get(response.status, Outcome.PENDING)
    return Answer(outcome, response.thing or None, str(response.status))


class SimulatedProvider(ABC):
    """The base of the adapters. People and webhooks are simulated elsewhere."""

    def __init__(self, send: Send) -> None:
        self.send = send

    @abstractmethod
    async def do(self, call: Call) -> Answer: ...

    @abstractmethod
    async def prevent(self, call: Call) -> Answer: ...

    @abstractmethod
    async def undo(self, call: Call) -> Answer: ...

    @abstractmethod
    async def capture(self, call: Call) -> Answer: ...

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        raise NotImplementedError

    def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        raise NotImplementedError


class Intents(SimulatedProvider):
    """For a provider with intents: nothing is confirmed whose name is not in the row; what is refused is canceled.

    No key is needed, since a thing can be done once. And none is wanted, since with it a server's error is repeated. So
    whoever knows the row knows what to look at, however long ago it was asked for; and without a name nothing was ever
    confirmed, so that there is nothing to prevent.
    """

    async def do(self, call: Call) -> Answer:
        order = call.order
        named = order.payment_method or order.payment_reference or ":"
        if call.reference is None:
            token = named.partition(":")[2] + _later(call)
            create = ProviderRequest("create", order.order_id, None, "", token, call.segment)
            made = await self.send(create)
            return Answer(Outcome.PENDING, made.thing)
        look = _look(call)
        found = await self.send(look)
        if found.status is ThingStatus.HELD and call.captures_later:
            # It pays for this order alone from now on.
            return fact(await self.send(look._replace(what="name")), later=True)
        if found.status is ThingStatus.HELD:
            return fact(await self.send(look._replace(what="capture")))
        if found.status is ThingStatus.NEW and order.payment_method is not None:
            await self.send(look._replace(what="confirm"))
            found = await self.send(look)
        if found.status is ThingStatus.FAILED and order.payment_method is not None:
            # It could be tried once more, by whoever still tries.
            return await self._cancel(look)
        return fact(found, later=call.captures_later)

    async def prevent(self, call: Call) -> Answer:
        if call.reference is None:
            return Answer(Outcome.REFUSED)
        return await self._cancel(_look(call))

    async def capture(self, call: Call) -> Answer:
        return await _captured(self.send, call)

    async def undo(self, call: Call) -> Answer:
        look = _look(call)
        found = await self.send(look)
        if found.status is ThingStatus.HELD:
            return await self._cancel(look)
        if found.status is ThingStatus.DONE:
            await self.send(look._replace(what="refund"))
            return fact(await self.send(look))
        return fact(found)

    async def _cancel(self, look: ProviderRequest) -> Answer:
        """Cancels, and looks: an effect that cannot be canceled any more has happened, or will be known later."""
        await self.send(look._replace(what="cancel"))
        return fact(await self.send(look))


class Keyed(SimulatedProvider):
    """For a provider with nothing but keys: the only way to prevent is to ask again with the same key, and to undo."""

    async def do(self, call: Call) -> Answer:
        order = call.order
        if call.age > LIFETIME - MARGIN:
            # With a key that may be forgotten it would be done twice.
            return await self._find(call)
        token = (order.payment_method or ":").partition(":")[2] + _later(call)
        book = ProviderRequest("book", order.order_id, None, call.key("book"), token, call.segment)
        try:
            return fact(await self.send(book), later=call.captures_later)
        except ServerError:
            # It may be repeated for a day, whatever it stands for.
            return await self._find(call)

    async def prevent(self, call: Call) -> Answer:
        return await self.do(call)

    async def undo(self, call: Call) -> Answer:
        look = _look(call)
        await self.send(look._replace(what="cancel" if call.captures_later else "refund"))
        return fact(await self.send(look), later=call.captures_later)

    async def capture(self, call: Call) -> Answer:
        return await _captured(self.send, call)

    async def _find(self, call: Call) -> Answer:
        """Looks. An effect that is not there may come still: only people can say that it will not."""
        try:
            find = ProviderRequest("find", call.order.order_id, segment=call.segment)
            return fact(await self.send(find), later=call.captures_later)
        except NotFound:
            return Answer(Outcome.UNKNOWN, code=ASK_PEOPLE)


async def _captured(send: Send, call: Call) -> Answer:
    """Captures what is held, and looks."""
    look = _look(call)
    await send(look._replace(what="capture"))
    found = await send(look)
    if found.status is ThingStatus.PART:
        return Answer(Outcome.UNKNOWN, found.thing, ASK_PEOPLE)
    return fact(found, later=True)


def _later(call: Call) -> str:
    """Behind a token: the money is held until it is captured."""
    return LATER if call.captures_later else ""


def _look(call: Call) -> ProviderRequest:
    return ProviderRequest("look", call.order.order_id, call.reference, segment=call.segment)


#: By the name of a provider, its adapter.
ADAPTERS: Final[Mapping[str, Callable[[Send], SimulatedProvider]]] = {
    "intents": Intents,
    "keyed": Keyed,
    "courier": Keyed,
}
