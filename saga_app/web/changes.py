"""Carries out the forms of the pages: each is checked, sends records, and leads to a page that says so."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from aiohttp import web

from saga_app import urls
from saga_app.core.errors import Rejected
from saga_app.dead_letters.replay import NotReplayable
from saga_app.orderdb import queries
from saga_app.orderdb.queries.orders import Listed
from saga_app.orderdb.serving import OrderDatabase
from saga_app.settings import Settings
from saga_app.web import actions, bulk
from saga_app.web.access import AccessRules
from saga_app.web.forms import MOST_BYTES, read_form
from saga_app.web.places import place
from saga_app.web.view import View
from saga_app.web.views import letter_view
from saga_app.webhooks import look

#: Bytes of a form with the payload of a dead letter.
MOST_LETTER_BYTES: Final = 512 * 1024
Form = Mapping[str, str]
#: What a form does; the number of orders or letters, or a page to show instead of going back.
Change = Callable[[Settings, str, Form], Awaitable[int | View]]


#: The page that follows an action which is not about one order or letter.
_BACK: Final = {
    urls.BULK_ORDERS: urls.ORDERS,
    urls.BULK_LETTERS: urls.DEAD_LETTERS,
    urls.WEBHOOKS: urls.WEBHOOKS,
}


class InThread(Protocol):
    """Runs blocking work with Kafka, some at a time."""

    async def __call__(self, work: Callable[..., Any], *args: Any, **options: Any) -> Any: ...


class Changes:
    """The actions of one process's pages."""

    def __init__(
        self, settings: Settings, rules: AccessRules, database: OrderDatabase, kafka: InThread
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._database = database
        self._kafka = kafka
        self._do: Mapping[tuple[str, str], Change] = {
            (urls.ORDER, urls.CANCEL): self._cancel,
            (urls.ORDER, urls.NUDGE): self._nudge,
            (urls.DEAD_LETTER, urls.DRY_RUN): self._dry_run,
            (urls.DEAD_LETTER, urls.REPLAY): self._replay,
            (urls.DEAD_LETTER, urls.DISMISS): self._dismiss,
            (urls.BULK_ORDERS, urls.CANCEL): self._cancel_many,
            (urls.BULK_ORDERS, urls.NUDGE): self._nudge_many,
            (urls.BULK_LETTERS, urls.REPLAY): self._replay_many,
            (urls.BULK_LETTERS, urls.DISMISS): self._dismiss_many,
            (urls.WEBHOOKS, urls.RESEND): self._resend,
        }

    async def act(self, request: web.Request, path: str) -> View:
        """Carries out a form; returns a page, or leads to the one that follows (`HTTPSeeOther`)."""
        page, _, action = path.rpartition("/")
        page += "/"
        form = await read_form(request, MOST_LETTER_BYTES if page == urls.DEAD_LETTER else MOST_BYTES)
        self._rules.check_change(request, form.get("token", ""))
        who = self._rules.visitor(request).name or request.remote
        settings = replace(self._settings, actor=f"pages {who}"[:100])
        done = await self._do[page, action](settings, request.match_info.get("name", ""), form)
        if isinstance(done, View):
            return done
        # The page that follows is a GET: reloading it does not repeat the action.
        if page in (urls.ORDER, urls.DEAD_LETTER):
            raise web.HTTPSeeOther(f"{request.path.rpartition('/')[0]}/?done={action}")
        back = _BACK[page]
        raise web.HTTPSeeOther(f"{back}?done={action}&number={done}")

    async def _cancel(self, settings: Settings, name: str, form: Form) -> int:
        await self._kafka(actions.cancel, settings, [name], form.get("note", ""))
        return 1

    async def _nudge(self, settings: Settings, name: str, form: Form) -> int:
        rows = await self._orders([name])
        if not rows:
            raise actions.NothingSent("This order is not in the order database.")
        await self._kafka(actions.nudge, settings, _placed(rows))
        return 1

    async def _cancel_many(self, settings: Settings, name: str, form: Form) -> int:
        rows = bulk.orders_that(urls.CANCEL, await self._orders(bulk.named(form))).fitting
        await self._kafka(actions.cancel, settings, [each["order_id"] for each in rows], form.get("note", ""))
        return len(rows)

    async def _nudge_many(self, settings: Settings, name: str, form: Form) -> int:
        rows = bulk.orders_that(urls.NUDGE, await self._orders(bulk.named(form))).fitting
        await self._kafka(actions.nudge, settings, _placed(rows))
        return len(rows)

    async def _dry_run(self, settings: Settings, name: str, form: Form) -> View:
        letter = await self._database.query(lambda each: letter_view(each, name))
        if letter.status != 200:
            return letter
        values = {**letter.values, "payload": form.get("payload", letter.values["payload"])}
        corrected = _corrected(letter, form)
        try:
            values["plan"] = await self._kafka(actions.dry_run, settings, place(name), corrected)
        except (NotReplayable, Rejected) as error:
            return letter._replace(values={**values, "refused": str(error)}, status=409)
        return letter._replace(values={**values, "is_corrected": corrected is not None})

    async def _replay(self, settings: Settings, name: str, form: Form) -> int:
        letter = await self._database.query(lambda each: letter_view(each, name))
        corrected = _corrected(letter, form) if letter.status == 200 else None
        await self._kafka(actions.replay, settings, [place(name)], corrected, force="force" in form)
        return 1

    async def _dismiss(self, settings: Settings, name: str, form: Form) -> int:
        await self._kafka(actions.dismiss, settings, [place(name)], form.get("note", ""))
        return 1

    async def _replay_many(self, settings: Settings, name: str, form: Form) -> int:
        wanted = bulk.places(form)
        await self._kafka(actions.replay, settings, wanted)
        return len(wanted)

    async def _dismiss_many(self, settings: Settings, name: str, form: Form) -> int:
        wanted = bulk.places(form)
        await self._kafka(actions.dismiss, settings, wanted, form.get("note", ""))
        return len(wanted)

    async def _resend(self, settings: Settings, name: str, form: Form) -> int:
        """One event of an endpoint; without an id all that failed."""
        ids = frozenset({form["id"]}) if form.get("id") else frozenset[str]()
        sent = await self._kafka(look.resend, settings, form.get("endpoint", ""), ids, None)
        if not sent:
            raise actions.NothingSent("No such delivery waits or has failed: it may be taken by now.")
        return len(sent)

    async def _orders(self, order_ids: list[str]) -> list[Listed]:
        return await self._database.query(lambda each: queries.orders.of_ids(each, order_ids))


def _placed(rows: list[Listed]) -> dict[str, tuple[int, int]]:
    return {each["order_id"]: (each["partition"], each["placed_offset"]) for each in rows}


def _corrected(letter: View, form: Form) -> bytes | None:
    """The payload of the form; None if nobody has changed it. Forms have other line ends than records."""
    given, shown = form.get("payload"), letter.values["payload"]
    if given is None or given.replace("\r\n", "\n").strip() == shown.strip():
        return None
    return given.encode()
