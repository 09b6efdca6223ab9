"""The events of an order: a stream of server-sent events, one for each record about it, until it has ended."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Any, Final

from fastapi import APIRouter, Security
from starlette.responses import Response

from saga_app.api.access import Caller
from saga_app.api.models import EndedOrder, TimelineLine, dump
from saga_app.api.orders import ORDER, OrderId, is_unknown
from saga_app.api.parts import Parts
from saga_app.api.problems import Problem, later, responses
from saga_app.client.results import OrderEnding
from saga_app.core.records import Reason, StepName
from saga_app.orderdb.present.timeline import timeline
from saga_app.orderdb.queries.order import OrderDetails, find
from saga_app.times import written
from saga_app.tokens import TokenScope

#: Streams at the same time, and seconds from one look at the order database to the next.
MOST_STREAMS: Final = 256
LOOK_EVERY: Final = 1.0
#: Seconds to the first look after the ending was heard; each further one that finds nothing doubles them.
_SHORTEST_PAUSE: Final = 0.2
#: Seconds of silence after which a comment says that the stream is alive; proxies cut what is silent for a minute.
BEAT: Final = 15.0
#: Seconds for which a reader may take nothing before its stream ends.
WRITE_TIMEOUT: Final = 5.0
#: Looks for which an ended order may lack the record that ended it: the record is copied on its own.
LAST_RECORD_LOOKS: Final = 5
_TYPE: Final = "text/event-stream"
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class EventStream(Response):
    """Sends events as they come, and gives a reader up that takes none."""

    def __init__(self, events: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(None, headers={"Cache-Control": "no-store"}, media_type=_TYPE)
        del self.headers["Content-Length"]
        self._events = events
        self._ended = ended

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async for event in self._events:
                if gone.done():
                    return
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # The server cuts a connection whose reader takes nothing.
            return
        finally:
            gone.cancel()
            self._ended()
            await self._events.aclose()  # type: ignore[attr-defined]


class OrderEvents:
    """The streams of one process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.open = 0

    async def stream(self, order_id: str) -> EventStream:
        """The stream. Raises `Problem` if nothing is known of the order, or there are too many streams."""
        if self.open >= MOST_STREAMS or self._parts.stops:
            raise later("too_many_streams", "too many streams are open", 10)
        # It counts from here on, or many could come during the look.
        self.open += 1
        try:
            first = await self._find(order_id)
            if is_unknown(first) and not self._parts.desk.has_placed(order_id):
                raise Problem(
                    HTTPStatus.NOT_FOUND, "not_found", f"order {order_id} is not in the order database"
                )
        except BaseException:
            self._ended()
            raise
        return EventStream(self._events(order_id, first), self._ended)

    def _ended(self) -> None:
        self.open -= 1

    async def _events(self, order_id: str, found: OrderDetails) -> AsyncIterator[str]:
        sent: set[str] = set()
        last, looks, pause = monotonic(), 0, _SHORTEST_PAUSE
        with self._parts.outcomes.watch(order_id) as watch:
            while not self._parts.stops:
                new = list(_new(found, sent))
                for event in new:
                    yield event
                ending = _ending(found)
                looks += ending is not None
                if ending is not None and (_has_last(found) or looks > LAST_RECORD_LOOKS):
                    yield _event("ended", dump(EndedOrder.of(ending)))
                    return
                if new:
                    last, pause = monotonic(), _SHORTEST_PAUSE
                elif monotonic() - last > BEAT:
                    last = monotonic()
                    yield ": \n\n"
                if watch.heard.done():
                    # The copy may be far behind.
                    await asyncio.sleep(min(pause, LOOK_EVERY))
                    pause *= 2
                else:
                    await asyncio.wait([watch.heard], timeout=LOOK_EVERY)
                found = await self._find(order_id)

    async def _find(self, order_id: str) -> OrderDetails:
        return await self._parts.database.query(lambda each: find(each, order_id))


def router(parts: Parts) -> APIRouter:
    """The route."""
    routes, streams = APIRouter(tags=["orders"]), OrderEvents(parts)
    read_scope = Security(parts.rules.caller, scopes=[TokenScope.READ])

    @routes.get(
        ORDER + "/events",
        status_code=HTTPStatus.OK,
        response_class=EventStream,
        responses={
            200: {
                "description": "Events `record` and `ended`.",
                "content": {_TYPE: {"schema": {"type": "string"}}},
            },
            **responses(404),
        },
    )
    async def order_events(order_id: OrderId, by: Annotated[Caller, read_scope]) -> EventStream:
        """Follow an order: an event `record` for each record about it, and `ended` at the end, each with JSON.

        Every stream begins with the first record. The id of an event is the record's place, so a reader that comes
        again knows those that it has.
        """
        return await streams.stream(order_id)

    return routes


async def _gone(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _new(found: OrderDetails, sent: set[str]) -> "list[str]":
    events = []
    for line in timeline(found.events, found.letters, found.steps, found.patience):
        # A record may become a dead letter later, and a step's outcome may be copied after its request.
        key = f"{line.place} {line.what}"
        if key not in sent:
            sent.add(key)
            told = TimelineLine.model_validate({**line._asdict(), "at": written(line.at)})
            events.append(_event("record", dump(told), line.place))
    return events


def _ending(found: OrderDetails) -> OrderEnding | None:
    status = found.status
    if status is None or not status.has_ended or status.ended_at is None:
        return None
    reason, step = status.reason, status.step
    return OrderEnding(
        found.order_id,
        status.status,
        status.ended_at,
        Reason(reason) if reason else None,
        StepName(step) if step else None,
    )


def _has_last(found: OrderDetails) -> bool:
    """True if the record that ended the order is copied."""
    status = found.status
    return status is not None and bool({"OrderCompleted", "OrderCancelled"} & status.first.keys())


def _event(name: str, data: dict[str, Any], event_id: str = "") -> str:
    known = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{known}data: {json.dumps(data)}\n\n"
