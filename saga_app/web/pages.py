"""Answers requests: looks up what a page shows, renders it, and tells plainly what cannot be told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from aiohttp import web

from saga_app.kafka.reachable import reach
from saga_app.settings import Settings
from saga_app.web import actions, render, topology, views
from saga_app.web.access import Guard
from saga_app.web.database import Book
from saga_app.web.error_page import trouble
from saga_app.web.sse import Live
from saga_app.web.views import View

#: Bytes of a form, and threads that ask Kafka at the same time.
MOST_FORM: Final = 16 * 1024
AT_A_TIME: Final = 2
#: The live part of a page, by the page's path.
_LIVE: Final = {"/": "_overview.html", "/orders/{name}/": "_order.html"}
Result = TypeVar("Result")


class Pages:
    """All pages of one worker."""

    def __init__(self, settings: Settings, guard: Guard, stops: Callable[[], bool]) -> None:
        self.settings = settings
        self.guard = guard
        self.book = Book(settings)
        self.live = Live(stops)
        self._threads = asyncio.Semaphore(AT_A_TIME)
        self._do: Mapping[str, Callable[[str, Mapping[str, str]], Awaitable[View | None]]] = {
            "cancel": self._cancel,
            "nudge": self._nudge,
            "replay": self._replay,
            "dry-run": self._dry_run,
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The page, the stream, or what has become of an action."""
        resource = request.match_info.route.resource
        path = "" if resource is None else resource.canonical
        try:
            if path.startswith("/live/"):
                return await self._stream(request, path.removeprefix("/live"))
            if request.method == "POST":
                return await self._act(request)
            return self._page(await self._view(path, request.match_info, request.query))
        except (web.HTTPRedirection, ConnectionError):
            raise
        except Exception as error:
            return self._page(trouble(error))

    async def close(self) -> None:
        """Gives up the database's connections."""
        await self.book.close()

    async def _view(self, path: str, match: Mapping[str, str], query: Mapping[str, str]) -> View:
        if path == "/topology/":
            return await self._topology()
        if path.startswith("/records/"):
            return await self._record(match)
        view = views.VIEWS[path]
        return await self.book.ask(lambda each: view(each, match.get("name", ""), query))

    async def _stream(self, request: web.Request, path: str) -> web.StreamResponse:
        async def look() -> str:
            try:
                view = await self._view(path, request.match_info, {})
            except Exception as error:
                return render.page("_trouble.html", **trouble(error).values)
            return render.page(_LIVE[path] if view.status == 200 else "_nothing.html", **view.values)

        return await self.live.stream(request, request.path, look)

    async def _act(self, request: web.Request) -> web.StreamResponse:
        if request.content_length is None or request.content_length > MOST_FORM:
            raise web.HTTPRequestEntityTooLarge(MOST_FORM, request.content_length or 0)
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        self.guard.check_change(request, form.get("token", ""))
        back, _, action = request.path.rpartition("/")
        view = await self._do[action](request.match_info["name"], form)
        if view is not None:
            return self._page(view)
        # Who reloads the page that follows does not do it once more.
        raise web.HTTPSeeOther(f"{back}/?done={action}")

    async def _cancel(self, name: str, form: Mapping[str, str]) -> None:
        await self._kafka(actions.cancel, self.settings, name, form.get("note", ""))

    async def _nudge(self, name: str, form: Mapping[str, str]) -> None:
        view = await self._view("/orders/{name}/", {"name": name}, {})
        order = view.values["found"].order if view.status == 200 else None
        if order is None:
            raise actions.NotDone("This order is not in the order database.")
        await self._kafka(actions.nudge, self.settings, name, (order["partition"], order["placed_offset"]))

    async def _replay(self, name: str, form: Mapping[str, str]) -> None:
        await self._kafka(actions.replay, self.settings, views.place(name), force="force" in form)

    async def _dry_run(self, name: str, form: Mapping[str, str]) -> View:
        plan = await self._kafka(actions.dry_run, self.settings, views.place(name))
        view = await self._view("/dead-letters/{name}/", {"name": name}, {})
        return view._replace(values={**view.values, "plan": plan})

    async def _topology(self) -> View:
        copied: Any = {}
        unknown = ""
        try:
            copied = await self.book.ask(topology.progress)
        except Exception as error:
            unknown = str(trouble(error).values["what"])
        found = await self._kafka(topology.look, self.settings, copied)
        return View("topology.html", {"found": found, "unknown": unknown, "app_id": self.settings.app_id})

    async def _record(self, match: Mapping[str, str]) -> View:
        place = views.place(f"{match['topic']}:{match['partition']}:{match['offset']}")
        if not await self.book.ask(lambda each: topology.is_event(each, place)):
            return View("no_record.html", {"id": str(place)}, 404)
        value = await self._kafka(actions.raw, self.settings, *place)
        return View("record.html", {"id": str(place), "value": value})

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
