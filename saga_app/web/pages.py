"""Answers requests: reads the data of a page and renders it, runs actions, streams the live parts."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, Self, TypeVar

from aiohttp import web

from saga_app import urls
from saga_app.health.read import HealthWatch
from saga_app.health.strip import strip
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.orderdb.queries.order import event_at
from saga_app.orderdb.serving import OrderDatabase
from saga_app.redaction import without_methods
from saga_app.settings import Settings
from saga_app.times import now
from saga_app.web import actions, render, views
from saga_app.web.access import AccessRules
from saga_app.web.changes import Changes
from saga_app.web.error_page import error_view
from saga_app.web.forms import read_form
from saga_app.web.order_list import csv_filter, csv_part
from saga_app.web.places import place
from saga_app.web.preferences import Preferences
from saga_app.web.sse import LiveStreams
from saga_app.web.start_times import StartTimes
from saga_app.web.topology import services, workers
from saga_app.web.view import InvalidAddress, Query, View
from saga_app.webhooks import look

#: Requests to Kafka at the same time.
MOST_KAFKA_REQUESTS: Final = 2
#: Deliveries that the page of webhooks shows.
MOST_DELIVERIES: Final = 100
#: By page, the template of its live part.
_LIVE_PARTS: Final = {
    urls.OVERVIEW: "_overview.html",
    urls.ORDER: "_order.html",
    urls.TOPOLOGY: "_topology.html",
}
Result = TypeVar("Result")


class ShownSystem(NamedTuple):
    """The system that the pages show: the name of its environment, and its application at its brokers."""

    environment: str
    cluster: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        first, *others = settings.broker.split(",")
        more = f" +{len(others)}" if others else ""
        return cls(settings.environment, f"{settings.app_id} at {first.strip()}{more}")


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
        self._place = ShownSystem.of(settings)
        self._threads = asyncio.Semaphore(MOST_KAFKA_REQUESTS)
        self._start_times = StartTimes()
        self._changes = Changes(settings, rules, self.database, self._kafka)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """The page, the stream, or the result of an action."""
        resource = request.match_info.route.resource
        path = "" if resource is None else resource.canonical
        try:
            if resource is None:
                raise InvalidAddress("There is no page at this address.", 404)
            if path.startswith(urls.LIVE):
                return await self._stream(request, path.removeprefix(urls.LIVE))
            if path in (urls.LOGIN, urls.LOGOUT):
                return await self._session(request, path)
            if request.method == "POST":
                return await self._page(request, await self._changes.act(request, path))
            if path == urls.TABLES_OF_WORKERS:
                raise web.HTTPNotFound(
                    text="Only workers have the tables: ask one of them, at its own address."
                )
            if path == urls.ORDERS_CSV:
                return await self._csv(request)
            return await self._page(request, await self._view(path, request.match_info, request.query))
        except (web.HTTPRedirection, ConnectionError):
            raise
        except Exception as error:
            return await self._page(request, error_view(error))

    async def close(self) -> None:
        """Closes the connections of the database."""
        await self.database.close()

    async def _view(self, path: str, match: Mapping[str, str], query: Query) -> View:
        if path == urls.TOPOLOGY:
            return await self._topology()
        if path == urls.RECORD:
            return await self._record(match)
        if path == urls.WEBHOOKS:
            return await self._webhooks(query)
        view = views.VIEWS[path]
        return await self.database.query(lambda each: view(each, match.get("name", ""), query))

    async def _session(self, request: web.Request, path: str) -> web.StreamResponse:
        """The form for the token, and what is sent with it; nothing here tells anything of the system."""
        if path == urls.LOGOUT:
            return self.rules.log_out(request)
        why, following = "", request.query.get("next", "")
        if request.method == "POST":
            form = await read_form(request)
            following = form.get("next", "")
            try:
                return self.rules.log_in(request, form.get("token", ""), following)
            except (web.HTTPForbidden, web.HTTPTooManyRequests) as error:
                why = error.text or ""
                status, headers = error.status, error.headers
        reader = Preferences.of(request.cookies)
        text = render.page("login.html", reader, following=following, why=why)
        response = web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})
        if why:
            response.set_status(status)
            if wait := headers.get("Retry-After"):
                response.headers["Retry-After"] = wait
        return response

    async def _stream(self, request: web.Request, path: str) -> web.StreamResponse:
        reader = Preferences.of(request.cookies)

        async def render_part() -> str:
            try:
                view = await self._view(path, request.match_info, request.query)
            except Exception as error:
                return render.page("_error.html", reader, **error_view(error).values)
            template = _LIVE_PARTS[path] if view.status == 200 else "_nothing.html"
            return render.page(template, reader, **view.values)

        async def nothing() -> str:
            return ""

        part = nothing if path == urls.HEALTH else render_part
        # Readers in one zone share a part.
        key = f"{request.path_qs} {reader.zone_name}"
        return await self.live.stream(request, key, part, partial(self._strip, reader), reader.zone)

    def _strip(self, reader: Preferences) -> str:
        return render.page("_health.html", reader, health=strip(self.health.latest(), now(), reader.zone))

    async def _csv(self, request: web.Request) -> web.StreamResponse:
        found = csv_filter(request.query)
        headers = {
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="orders.csv"',
            "Cache-Control": "no-store",
        }
        response = web.StreamResponse(headers=headers)
        lines, last = await self.database.query(lambda each: csv_part(each, found, None))
        await response.prepare(request)
        await response.write(lines)
        # Each part is a query of its own, so that a slow reader holds no transaction open.
        while last is not None:
            lines, last = await self.database.query(partial(csv_part, found=found, last=last))
            await response.write(lines)
        await response.write_eof()
        return response

    async def _topology(self) -> View:
        readings = await self.health.fresh()
        if readings is None or readings.kafka is None:
            raise BrokerUnreachable(readings.kafka_fault if readings else "no answer yet")
        found = readings.kafka
        values = {
            "found": found,
            "services": services(found),
            "workers": workers(found, await self._start_times.of(found.members.addresses)),
            "unknown": readings.database_fault,
            "app_id": self.settings.app_id,
        }
        return View("topology.html", values)

    async def _record(self, match: Mapping[str, str]) -> View:
        record = place(f"{match['topic']}:{match['partition']}:{match['offset']}")
        event = await self.database.query(lambda each: event_at(each, record))
        if event is None:
            return View("no_record.html", {"id": str(record)}, 404)
        value = await self._kafka(actions.raw, self.settings, *record)
        shown = None if value is None else without_methods(value)
        return View("record.html", {"id": str(record), "value": shown, "event": event})

    async def _webhooks(self, query: Query) -> View:
        """The endpoints of webhooks, and what they have not taken; nothing where none has ever run."""
        values: dict[str, Any] = {"done": query.get("done", ""), "number": query.get("number", "")}
        try:
            backlogs = await self._kafka(look.backlogs, self.settings)
            found = await self._kafka(look.open_deliveries, self.settings, MOST_DELIVERIES)
        except TopicsWrong:
            backlogs, found = {}, []
        return View(
            "webhooks.html", {**values, "backlogs": backlogs, "deliveries": found, "most": MOST_DELIVERIES}
        )

    async def _kafka(self, work: Callable[..., Result], *args: Any, **options: Any) -> Result:
        def run() -> Result:
            require_broker(self.settings)
            return work(*args, **options)

        async with self._threads:
            return await asyncio.to_thread(run)

    async def _page(self, request: web.Request, view: View) -> web.Response:
        reader, visitor = Preferences.of(request.cookies), self.rules.visitor(request)
        text = render.page(
            view.template,
            reader,
            place=self._place,
            visitor=visitor,
            can_change=visitor.may_change,
            why_not="" if visitor.may_change else self.rules.why_not(visitor),
            wants_token=self.rules.wants_token,
            has_session=self.rules.visitors.log_in and bool(visitor.name),
            health=strip(await self.health.fresh(), now(), reader.zone),
            has_tables=self.has_tables,
            **view.values,
        )
        headers = {"Cache-Control": "no-store"}
        return web.Response(text=text, status=view.status, content_type="text/html", headers=headers)
