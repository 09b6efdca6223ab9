"""A faulty Stripe: a proxy before localstripe that knows idempotency keys, refuses what Stripe refuses, and fails.

It writes down every request, and fails at those that the plan names. What localstripe does not know (captures of
cancelled intents, second refunds, codes of errors, lists by time) stands here, as Stripe's API reference says it.
"""

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import parse_qsl, urlencode

import aiohttp
from aiohttp import web


class StripeFault(StrEnum):
    """A way in which one request goes wrong."""

    LOST = "lost before it arrives"
    LATE = "given up by the caller, and executed later"
    NO_ANSWER = "executed, and the answer is lost"
    CUT = "executed, and the answer is cut"
    ERROR = "an error 500 before it is executed, which is repeated for its key"
    ERROR_AFTER = "executed, and answered with an error 500, which is repeated for its key"
    FORGOTTEN = "executed, the answer is lost, and all keys are forgotten"
    LIMITED = "one call too many: 429"
    BUSY = "another request has the key: 409"


#: Those of a bad network and a busy Stripe; keys are kept.
PASSING: Final = (
    StripeFault.LOST,
    StripeFault.LATE,
    StripeFault.NO_ANSWER,
    StripeFault.CUT,
    StripeFault.ERROR,
    StripeFault.ERROR_AFTER,
    StripeFault.LIMITED,
)


class Request(NamedTuple):
    """One request. `number` counts from 0."""

    number: int
    method: str
    path: str
    form: Mapping[str, str]
    key: str


class Reply(NamedTuple):
    """Status and body."""

    status: int
    body: bytes

    @classmethod
    def error(cls, status: int, code: str, param: str = "") -> Self:
        kind = "api_error" if status >= 500 else "invalid_request_error"
        told = {"type": kind, "code": code, "message": code, **({"param": param} if param else {})}
        return cls(status, json.dumps({"error": told}).encode())

    @property
    def thing(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Result = TypeVar("Result")
Plan = Callable[[Request], StripeFault | None]
#: Parameters that localstripe does not know, by the end of the path.
_UNKNOWN: Final = ("allowed_payment_method_types", "off_session", "cancellation_reason")
_CANCELLABLE: Final = (
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "requires_capture",
)
_INTENTS: Final = "/v1/payment_intents"
#: Seconds for which an authorisation is kept.
AUTHORISED_FOR: Final = 7 * 86_400
#: The smallest amount of most currencies, in minor units.
_LEAST: Final = 30


@dataclass
class StripeProxy:
    """`plan` says what goes wrong; without one, nothing does."""

    target: str
    plan: Plan = lambda request: None
    requests: list[Request] = field(default_factory=list)
    #: Requests that are under way: they arrive when `arrive` says so, or after so many other requests.
    late: list[Request] = field(default_factory=list)
    arrives_after: int | None = None
    address: str = ""
    is_down: bool = False

    def __post_init__(self) -> None:
        self._keys: dict[str, tuple[str, Reply]] = {}
        #: Minor units that were captured, of intents that were captured in part.
        self._received: dict[str, int] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        #: When each intent was made, in seconds, the oldest first.
        self._made: dict[str, int] = {}
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[Self]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound = runner.addresses[0][:2]
        self.address = f"http://{host}:{bound}"
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk_test_local"}) as session:
            self._session = session
            try:
                yield self
            finally:
                await runner.cleanup()

    async def flush(self) -> None:
        """Localstripe, and this proxy, as if nothing had been."""
        assert self._session is not None
        async with self._session.delete(f"{self.target}/_config/data"):
            pass
        self._keys.clear()
        self._received.clear()
        self._made.clear()
        self.requests.clear()
        self.late.clear()

    async def arrive(self) -> None:
        """Executes what was under way; whoever asked has given up."""
        while self.late:
            await self.keyed(self.late.pop(0))

    def forget_keys(self) -> None:
        """A day passes."""
        self._keys.clear()

    async def ask(self, method: str, path: str, **form: Any) -> dict[str, Any]:
        """Somebody else asks Stripe: a front end, a customer, a person; it is not written down."""
        reply = await self.execute(
            Request(-1, method, path, {name: str(each) for name, each in form.items()}, "")
        )
        assert reply.status == 200, reply.body
        return reply.thing

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = dict(parse_qsl(await request.text() if request.method == "POST" else request.query_string))
        key = request.headers.get("Idempotency-Key", "")
        asked = Request(len(self.requests), request.method, request.path, form, key)
        self.requests.append(asked)
        await self._let_arrive(asked)
        fault = StripeFault.LOST if self.is_down else self.plan(asked)
        return await (self._answer_well(asked) if fault is None else self._fail(request, asked, fault))

    async def _answer_well(self, asked: Request) -> web.StreamResponse:
        return _response(await self.keyed(asked))

    async def _fail(self, request: web.Request, asked: Request, fault: StripeFault) -> web.StreamResponse:
        if fault is StripeFault.LATE:
            self.late.append(asked)
        if fault in (StripeFault.LOST, StripeFault.LATE):
            return _abort(request)
        if fault is StripeFault.LIMITED:
            return _response(Reply.error(429, "rate_limit"), {"Retry-After": "1"})
        if fault is StripeFault.BUSY:
            return _response(Reply.error(409, "idempotency_key_in_use"))
        if fault is StripeFault.ERROR:
            return _response(self._save(asked, Reply.error(500, "broken")))
        reply = await self.keyed(asked)
        if fault is StripeFault.CUT:
            return await _cut(request, reply)
        if fault is StripeFault.ERROR_AFTER:
            return _response(self._save(asked, Reply.error(500, "broken")))
        if fault is StripeFault.FORGOTTEN:
            self.forget_keys()
        return _abort(request)

    async def _let_arrive(self, asked: Request) -> None:
        """Late requests arrive before this one, if it is time."""
        after = self.arrives_after
        if self.late and after is not None and asked.number > self.late[0].number + after:
            await self.arrive()

    async def keyed(self, request: Request) -> Reply:
        """A request with a key is executed once; then its first reply is repeated, whatever has happened since."""
        if not request.key or request.method != "POST":
            return await self.execute(request)
        async with self._locks[request.key]:
            content = f"{request.path}?{urlencode(sorted(request.form.items()))}"
            if request.key in self._keys:
                first, reply = self._keys[request.key]
                if first != content:
                    error = {"type": "idempotency_error", "message": "the same key with another content"}
                    return Reply(400, json.dumps({"error": error}).encode())
                return reply
            reply = await self.execute(request)
            # What is refused before anything is done is not kept.
            if reply.status not in (400, 401, 404, 409, 429):
                self._keys[request.key] = (content, reply)
            return reply

    def _save(self, request: Request, reply: Reply) -> Reply:
        if request.key and request.method == "POST":
            content = f"{request.path}?{urlencode(sorted(request.form.items()))}"
            self._keys[request.key] = (content, reply)
        return reply

    async def execute(self, request: Request) -> Reply:
        """Does it, as Stripe does."""
        async with self._locks["everything"]:
            refused = await self._refused(request)
            if refused is not None:
                return refused
            if request.method == "GET" and request.path == _INTENTS:
                return await self._list(request)
            form = {name: each for name, each in request.form.items() if not name.startswith(_UNKNOWN)}
            names = {name: each for name, each in form.items() if name.startswith("metadata[")}
            is_capture = request.path.endswith("/capture")
            if is_capture:
                form = {name: each for name, each in form.items() if name not in names}
            reply = await self._forward(request.method, request.path, form)
            if request.method == "POST" and request.path == _INTENTS and reply.status == 200:
                self._made[reply.thing["id"]] = int(reply.thing["created"])
            if is_capture and "amount_to_capture" in form and reply.status == 200:
                self._received[reply.thing["id"]] = int(form["amount_to_capture"])
            if is_capture and names and reply.status == 200:
                await self._forward("POST", request.path.removesuffix("/capture"), names)
            return self._whole(reply) if reply.status < 400 else self._as_stripe_says(request, reply)

    async def _refused(self, request: Request) -> Reply | None:
        """The refusal of Stripe where localstripe refuses nothing."""
        *_, name, verb = ["", "", *request.path.split("/")]
        if request.method != "POST":
            return None
        if request.path == _INTENTS and int(request.form["amount"]) < _LEAST:
            return Reply.error(400, "amount_too_small", "amount")
        if request.path == "/v1/refunds":
            return await self._refund_refused(request.form["payment_intent"])
        wanted = {
            "capture": ("requires_capture",),
            "cancel": _CANCELLABLE,
            "confirm": ("requires_confirmation",),
        }
        if verb not in wanted:
            return None
        found = await self._forward("GET", f"{_INTENTS}/{name}", {})
        if found.status == 200 and found.thing["status"] not in wanted[verb]:
            return Reply.error(400, "payment_intent_unexpected_state")
        return None

    async def _refund_refused(self, name: str) -> Reply | None:
        found = await self._forward("GET", f"{_INTENTS}/{name}", {})
        if found.status != 200:
            return Reply.error(404, "resource_missing", "payment_intent")
        intent = found.thing
        if intent["status"] != "succeeded":
            return Reply.error(400, "payment_intent_unexpected_state")
        if intent["latest_charge"]["amount_refunded"] >= intent["amount"]:
            return Reply.error(400, "charge_already_refunded")
        return None

    async def _list(self, request: Request) -> Reply:
        """The newest first, by time, page by page. Localstripe would export all that it has for each page."""
        since = int(request.form.get("created[gte]", 0))
        found = [name for name, made in reversed(self._made.items()) if made >= since]
        if after := request.form.get("starting_after"):
            found = found[found.index(after) + 1 :]
        limit = int(request.form.get("limit", 10))
        replies = [await self._forward("GET", f"{_INTENTS}/{name}", {}) for name in found[:limit]]
        shown = [self._told(each.thing) for each in replies]
        page = {"object": "list", "url": request.path, "data": shown, "has_more": len(found) > limit}
        return Reply(200, json.dumps(page).encode())

    async def _forward(self, method: str, path: str, form: Mapping[str, str]) -> Reply:
        assert self._session is not None
        options: dict[str, Any] = {"data": form} if method == "POST" else {"params": form}
        async with self._session.request(method, f"{self.target}{path}", **options) as response:
            return Reply(response.status, await response.read())

    def _whole(self, reply: Reply) -> Reply:
        """The reply with the fields that localstripe does not know, if it is an intent."""
        thing = reply.thing
        if thing.get("object") != "payment_intent":
            return reply
        return Reply(reply.status, json.dumps(self._told(thing)).encode())

    def _told(self, intent: dict[str, Any]) -> dict[str, Any]:
        received = self._received.get(intent["id"])
        charge = intent.get("latest_charge")
        if received is not None:
            return {**intent, "amount_received": received}
        if intent["status"] != "requires_capture" or not isinstance(charge, dict):
            return intent
        card = {"capture_before": charge["created"] + AUTHORISED_FOR}
        details = {"type": "card", "card": card}
        return {**intent, "latest_charge": {**charge, "payment_method_details": details}}

    @staticmethod
    def _as_stripe_says(request: Request, reply: Reply) -> Reply:
        """The error with the code and the parameter that Stripe gives it."""
        if reply.status == 404:
            by_method = "payment_method" in request.form or "/payment_methods" in request.path
            return Reply.error(404, "resource_missing", "payment_method" if by_method else "intent")
        if reply.status == 402:
            return Reply(402, json.dumps({"error": {**reply.thing["error"], "type": "card_error"}}).encode())
        return reply


class StripeInThread:
    """A `StripeProxy` in a thread of its own, for tests that wait for other processes."""

    def __init__(self, proxy: StripeProxy) -> None:
        self.proxy = proxy
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stripe", daemon=True)
        self._running = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_for(self._running.enter_async_context(self.proxy.running()))
        return self

    def __exit__(self, *_: object) -> None:
        self.wait_for(self._running.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def wait_for(self, what: Coroutine[Any, Any, Result], seconds: float = 60) -> Result:
        """The result of a coroutine of the proxy."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(seconds)

    def ask(self, method: str, path: str, **form: Any) -> dict[str, Any]:
        """See `StripeProxy.ask`."""
        return self.wait_for(self.proxy.ask(method, path, **form))


def _response(reply: Reply, more: Mapping[str, str] | None = None) -> web.Response:
    headers = {"Request-Id": "req_1", "Content-Type": "application/json", **(more or {})}
    return web.Response(status=reply.status, body=reply.body, headers=headers)


def _abort(request: web.Request) -> web.StreamResponse:
    # Whoever asked may have gone.
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Length": str(len(reply.body))})
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
    return _abort(request)
