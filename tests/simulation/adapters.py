"""Adapters of the simulated providers, as one writes them for two kinds of real ones."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Final

from saga_app.core.records import Outcome, StepAnswered
from saga_app.effects.ports import Answer, Call, Effect
from tests.simulation.remote import (
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


def fact(response: ProviderResponse) -> Answer:
    """The answer that follows from the status of a thing."""
    outcome = _FACTS.get(response.status, Outcome.PENDING)
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
            create = ProviderRequest(
                "create", order.order_id, None, "", named.partition(":")[2], call.segment
            )
            made = await self.send(create)
            return Answer(Outcome.PENDING, made.thing)
        look = _look(call)
        found = await self.send(look)
        if found.status is ThingStatus.HELD:
            return fact(await self.send(look._replace(what="capture")))
        if found.status is ThingStatus.NEW and order.payment_method is not None:
            await self.send(look._replace(what="confirm"))
            found = await self.send(look)
        if found.status is ThingStatus.FAILED and order.payment_method is not None:
            # It could be tried once more, by whoever still tries.
            return await self._cancel(look)
        return fact(found)

    async def prevent(self, call: Call) -> Answer:
        if call.reference is None:
            return Answer(Outcome.REFUSED)
        return await self._cancel(_look(call))

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
        token = (order.payment_method or ":").partition(":")[2]
        book = ProviderRequest("book", order.order_id, None, call.key("book"), token, call.segment)
        try:
            return fact(await self.send(book))
        except ServerError:
            # It may be repeated for a day, whatever it stands for.
            return await self._find(call)

    async def prevent(self, call: Call) -> Answer:
        return await self.do(call)

    async def undo(self, call: Call) -> Answer:
        look = _look(call)
        await self.send(look._replace(what="refund"))
        return fact(await self.send(look))

    async def _find(self, call: Call) -> Answer:
        """Looks. An effect that is not there may come still: only people can say that it will not."""
        try:
            return fact(await self.send(ProviderRequest("find", call.order.order_id, segment=call.segment)))
        except NotFound:
            return Answer(Outcome.UNKNOWN, code=ASK_PEOPLE)


def _look(call: Call) -> ProviderRequest:
    return ProviderRequest("look", call.order.order_id, call.reference, segment=call.segment)


#: By the name of a provider, its adapter.
ADAPTERS: Final[Mapping[str, Callable[[Send], SimulatedProvider]]] = {
    "intents": Intents,
    "keyed": Keyed,
    "courier": Keyed,
}
