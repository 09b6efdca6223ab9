"""Answers requests: looks up what a page shows, renders it, and tells plainly what cannot be told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from aiohttp import web
from confluent_kafka import KafkaException
from sqlalchemy.ext.asyncio import AsyncConnection

from saga_app.commands.broker import reach
from saga_app.commands.output import Failed
from saga_app.core.errors import Rejected
from saga_app.durable.dead_letters import LetterId
from saga_app.durable.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.letters.replaying import Stays
from saga_app.orderbook.database import DatabaseEmpty, DatabaseWrong, in_words, is_down
from saga_app.settings import Settings
from saga_app.web import actions, render, topology, views
from saga_app.web.book import Book
from saga_app.web.guard import Guard
from saga_app.web.live import Live
from saga_app.web.views import View, Wrong

#: Bytes of a form, and threads that ask Kafka at the same time.
MOST_FORM: Final = 16 * 1024
AT_A_TIME: Final = 2
Result = TypeVar("Result")

_LOG: Final = logging.getLogger(__name__)
#: What says that it is Kafka's trouble.
_KAFKA: Final = (BrokerUnreachable, KafkaException, TimeoutError, TopicsWrong, Failed)


class Pages:
    """All pages of one worker."""

    def __init__(self, settings: Settings, guard: Guard, stops: Callable[[], bool]) -> None:
        self.settings = settings
        self.guard = guard
        self.book = Book(settings)
        self.live = Live(stops)
        self._threads = asyncio.Semaphore(AT_A_TIME)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The page, the stream, or what has become of an action."""
        resource = request.match_info.route.resource
        path = "" if resource is None else resource.canonical
        try:
            if path.startswith("/live/"):
                return await self._stream(request)
            if request.method == "POST":
                return await self._act(request, path)
            return self._page(await self._view(path, request.match_info, request.query))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            return self._page(_trouble(error))

    async def close(self) -> None:
        """Gives up the database's connections."""
        await self.book.close()

    async def _view(self, path: str, match: Mapping[str, str], query: Mapping[str, str]) -> View:
        ask, id = self.book.ask, match.get("id", "")
        match path:
            case "/":
                return await ask(views.overview)
            case "/orders/":
                return await ask(lambda each: views.orders(each, query))
            case "/orders/{id}/":
                view = await ask(lambda each: views.order(each, id))
                return view._replace(values={**view.values, "done": query.get("done", "")})
            case "/stock/":
                return await ask(lambda each: views.stocks(each, query))
            case "/stock/{id}/":
                return await ask(lambda each: views.article(each, id))
            case "/accounts/":
                return await ask(lambda each: views.holders(each, query))
            case "/accounts/{id}/":
                return await ask(lambda each: views.account(each, id))
            case "/dead-letters/":
                return await ask(lambda each: views.dead_letters(each, query))
            case "/dead-letters/{id}/":
                view = await ask(lambda each: views.dead_letter(each, _letter(id)))
                return view._replace(values={**view.values, "plan": None, "done": query.get("done", "")})
            case "/topology/":
                return await self._topology()
            case _:
                return await self._record(match)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        id = request.match_info.get("id")
        question: Callable[[AsyncConnection], Awaitable[View]]
        if id is None:
            what, template, question = "/", "_overview.html", views.overview
        else:
            what, template = f"/orders/{id}/", "_order.html"

            def question(each: AsyncConnection) -> Awaitable[View]:
                return views.order(each, id)

        async def look() -> str:
            try:
                view = await self.book.ask(question)
            except Exception as error:
                return render.page("_trouble.html", **_trouble(error).values)
            if view.status != 200:
                return render.page("_nothing.html")
            return render.page(template, **view.values)

        return await self.live.stream(request, what, look)

    async def _act(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.content_length is None or request.content_length > MOST_FORM:
            raise web.HTTPRequestEntityTooLarge(MOST_FORM, request.content_length or 0)
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        self.guard.check_change(request, form.get("token", ""))
        id = request.match_info["id"]
        match path:
            case "/orders/{id}/cancel":
                await self._kafka(actions.cancel, self.settings, id, form.get("note", ""))
            case "/orders/{id}/nudge":
                view = await self.book.ask(lambda each: views.order(each, id))
                order = view.values["found"].order if view.status == 200 else None
                if order is None:
                    raise actions.NotDone("This order is not in the order database.")
                placed = order["partition"], order["placed_offset"]
                await self._kafka(actions.nudge, self.settings, id, placed)
            case "/dead-letters/{id}/replay":
                await self._kafka(actions.replay, self.settings, _letter(id), force="force" in form)
            case _:
                view = await self.book.ask(lambda each: views.dead_letter(each, _letter(id)))
                plan = await self._kafka(actions.dry_run, self.settings, _letter(id))
                return self._page(view._replace(values={**view.values, "plan": plan, "done": ""}))
        back, _, action = request.path.rpartition("/")
        raise web.HTTPSeeOther(f"{back}/?done={action}")

    async def _topology(self) -> View:
        copied: Any
        try:
            copied = await self.book.ask(topology.progress)
        except Exception as error:
            copied = {}
            trouble = _trouble(error).values["what"]
        else:
            trouble = ""
        found = await self._kafka(topology.look, self.settings, copied)
        return View("topology.html", {"found": found, "trouble": trouble, "settings": self.settings})

    async def _record(self, match: Mapping[str, str]) -> View:
        id = _letter(f"{match['topic']}:{match['partition']}:{match['offset']}")
        if not await self.book.ask(lambda each: topology.is_event(each, id)):
            return View("no_record.html", {"id": str(id)}, 404)
        value = await self._kafka(actions.raw, self.settings, *id)
        return View("record.html", {"id": str(id), "value": value})

    async def _kafka(self, work: Callable[..., Result], *args: Any, **options: Any) -> Result:
        def run() -> Result:
            reach(self.settings)
            return work(*args, **options)

        async with self._threads:
            return await asyncio.to_thread(run)

    def _page(self, view: View) -> web.Response:
        text = render.page(
            view.template, can_change=self.guard.can_change, wants_token=self.guard.wants_token, **view.values
        )
        headers = {"Cache-Control": "no-store"}
        return web.Response(text=text, status=view.status, content_type="text/html", headers=headers)


def _letter(text: str) -> LetterId:
    id = LetterId.parse(text)
    if id is None:
        raise Wrong(f"{text[:80]!r} is no place of a record; they are written TOPIC:PARTITION:OFFSET.")
    return id


def _trouble(error: Exception) -> View:
    """The page that says what is wrong and what to do."""
    if isinstance(error, web.HTTPSeeOther):
        raise error
    status, title, what, todo = 500, "This page failed", "", "The worker's log says why."
    if isinstance(error, Wrong):
        status, title, what, todo = 400, "That cannot be asked", str(error), ""
    elif isinstance(error, Rejected):
        status, title, what, todo = 400, "That cannot be sent", str(error), ""
    elif isinstance(error, actions.NotDone | Stays):
        status, title, what, todo = 409, "Nothing was sent", str(error), ""
    elif isinstance(error, web.HTTPException):
        status, title, what, todo = error.status, error.reason, error.text or "", ""
    elif isinstance(error, DatabaseEmpty):
        status, title, what = 503, "There are no orders to show yet", str(error)
        todo = "`saga orderbook` copies the orders into the database; `scripts/run` starts it too."
    elif isinstance(error, DatabaseWrong):
        status, title, what, todo = 503, "The order database cannot be used", str(error), ""
    elif isinstance(error, _KAFKA):
        status, title = 503, "Kafka does not answer as it should"
        what, todo = str(error), "`saga doctor` looks at everything."
    elif is_down(error):
        status, title, what = 503, "The order database does not answer", in_words(error)
        todo = "Is SAGA_DB_URL right, and does its server run?"
    if status == 500:
        _LOG.exception("a page failed", exc_info=error)
    return View("trouble.html", {"title": title, "what": what, "todo": todo}, status)
