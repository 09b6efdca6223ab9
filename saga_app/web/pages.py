"""Answers requests: reads the data of a page and renders it, runs actions, streams the live parts."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from aiohttp import web

from saga_app import urls
from saga_app.health.read import HealthWatch
from saga_app.health.strip import strip
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.orderdb.queries.order import is_event
from saga_app.orderdb.serving import OrderDatabase
from saga_app.redaction import without_methods
from saga_app.settings import Settings
from saga_app.times import now
from saga_app.web import actions, render, views
from saga_app.web.access import AccessRules
from saga_app.web.error_page import error_view
from saga_app.web.forms import read_form
from saga_app.web.sse import LiveStreams
from saga_app.web.views import View

#: Requests to Kafka at the same time.
MOST_KAFKA_REQUESTS: Final = 2
#: By page, the template of its live part.
_LIVE_PARTS: Final = {urls.OVERVIEW: "_overview.html", urls.ORDER: "_order.html"}
Result = TypeVar("Result")


class Pages:
    """All pages of one process. Only a worker has tables."""

    def __init__(
        self,
        settings: Settings,
        rules: AccessRules,
        stops: Callable[[], bool],
        health: HealthWatch,
        *,
        has_tables: bool,
    ) -> None:
        self.settings = settings
        self.health = health
        self.has_tables = has_tables
        self.rules = rules
        self.database = OrderDatabase(settings)
        self.live = LiveStreams(stops)
        self._threads = asyncio.Semaphore(MOST_KAFKA_REQUESTS)
        self._do: Mapping[str, Callable[[Settings, str, Mapping[str, str]], Awaitable[View | None]]] = {
            urls.CANCEL: self._cancel,
            urls.NUDGE: self._nudge,
            urls.REPLAY: self._replay,
            urls.DRY_RUN: self._dry_run,
        }

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """The page, the stream, or the result of an action."""
        resource = request.match_info.route.resource
        path = "" if resource is None else resource.canonical
        try:
            if path.startswith(urls.LIVE):
                return await self._stream(request, path.removeprefix(urls.LIVE))
            if request.method == "POST":
                return await self._act(request)
            if path == urls.TABLES_OF_WORKERS:
                raise web.HTTPNotFound(
                    text="Only workers have the tables: ask one of them, at its own address."
                )
            return await self._page(await self._view(path, request.match_info, request.query))
        except (web.HTTPRedirection, ConnectionError):
            raise
        except Exception as error:
            return await self._page(error_view(error))

    async def close(self) -> None:
        """Closes the connections of the database."""
        await self.database.close()

    async def _view(self, path: str, match: Mapping[str, str], query: Mapping[str, str]) -> View:
        if path == urls.TOPOLOGY:
            return await self._topology()
        if path == urls.RECORD:
            return await self._record(match)
        view = views.VIEWS[path]
        return await self.database.query(lambda each: view(each, match.get("name", ""), query))

    async def _stream(self, request: web.Request, path: str) -> web.StreamResponse:
        async def render_part() -> str:
            try:
                view = await self._view(path, request.match_info, {})
            except Exception as error:
                return render.page("_error.html", **error_view(error).values)
            return render.page(_LIVE_PARTS[path] if view.status == 200 else "_nothing.html", **view.values)

        async def nothing() -> str:
            return ""

        part = nothing if path == urls.HEALTH else render_part
        return await self.live.stream(request, request.path, part, self._strip)

    def _strip(self) -> str:
        return render.page("_health.html", health=strip(self.health.latest(), now()))

    async def _act(self, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        self.rules.check_change(request, form.get("token", ""))
        back, _, action = request.path.rpartition("/")
        settings = replace(self.settings, actor=f"pages {request.remote}"[:100])
        view = await self._do[action](settings, request.match_info["name"], form)
        if view is not None:
            return await self._page(view)
        # The page that follows is a GET: reloading it does not repeat the action.
        raise web.HTTPSeeOther(f"{back}/?done={action}")

    async def _cancel(self, settings: Settings, name: str, form: Mapping[str, str]) -> None:
        await self._kafka(actions.cancel, settings, name, form.get("note", ""))

    async def _nudge(self, settings: Settings, name: str, form: Mapping[str, str]) -> None:
        view = await self._view(urls.ORDER, {"name": name}, {})
        order = view.values["found"].order if view.status == 200 else None
        if order is None:
            raise actions.NothingSent("This order is not in the order database.")
        await self._kafka(actions.nudge, settings, name, (order["partition"], order["placed_offset"]))

    async def _replay(self, settings: Settings, name: str, form: Mapping[str, str]) -> None:
        await self._kafka(actions.replay, settings, views.place(name), force="force" in form)

    async def _dry_run(self, settings: Settings, name: str, form: Mapping[str, str]) -> View:
        plan = await self._kafka(actions.dry_run, self.settings, views.place(name))
        view = await self._view(urls.DEAD_LETTER, {"name": name}, {})
        return view._replace(values={**view.values, "plan": plan})

    async def _topology(self) -> View:
        readings = await self.health.fresh()
        if readings is None or readings.kafka is None:
            raise BrokerUnreachable(readings.kafka_fault if readings else "no answer yet")
        values = {"found": readings.kafka, "unknown": readings.database_fault, "app_id": self.settings.app_id}
        return View("topology.html", values)

    async def _record(self, match: Mapping[str, str]) -> View:
        place = views.place(f"{match['topic']}:{match['partition']}:{match['offset']}")
        if not await self.database.query(lambda each: is_event(each, place)):
            return View("no_record.html", {"id": str(place)}, 404)
        value = await self._kafka(actions.raw, self.settings, *place)
        shown = None if value is None else without_methods(value)
        return View("record.html", {"id": str(place), "value": shown})

    async def _kafka(self, work: Callable[..., Result], *args: Any, **options: Any) -> Result:
        def run() -> Result:
            require_broker(self.settings)
            return work(*args, **options)

        async with self._threads:
            return await asyncio.to_thread(run)

    async def _page(self, view: View) -> web.Response:
        text = render.page(
            view.template,
            can_change=self.rules.can_change,
            wants_token=self.rules.wants_token,
            health=strip(await self.health.fresh(), now()),
            has_tables=self.has_tables,
            **view.values,
        )
        headers = {"Cache-Control": "no-store"}
        return web.Response(text=text, status=view.status, content_type="text/html", headers=headers)
