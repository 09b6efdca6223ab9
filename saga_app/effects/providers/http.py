"""A service of your own as a provider, for any step and in any language; `saga_app.effects.contract` is what it speaks.

Only an answer that the service gives in full, with status 200, says anything of the effect. Everything else is
`unknown`, and the call is made again: an error 4xx too. It is a mistake of ours, such as a wrong address or a wrong
token, and would refuse every order.

`SAGA_PROVIDERS=carrier=saga_app.effects.providers.http:provider` with `SAGA_PROVIDER_CARRIER_ADDRESS`, and perhaps
`SAGA_PROVIDER_CARRIER_TOKEN`, makes one.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from pydantic import ValidationError

from saga_app.core.order import Order
from saga_app.core.outside import Action
from saga_app.core.records import Outcome, StepAnswered
from saga_app.effects import contract
from saga_app.effects.calls import LONGEST_WAIT
from saga_app.effects.configured import ProviderOptions
from saga_app.effects.contract import MOST_BYTES, MOST_LEDGER_BYTES
from saga_app.effects.ports import (
    Answer,
    Call,
    Effect,
    KeyRefused,
    NoAnswer,
    ProviderMode,
    ProviderReport,
)
from saga_app.redaction import has_card_number
from saga_app.secret_values import without_password
from saga_app.settings import LOOPBACK, SettingsError
from saga_app.text import printable
from saga_app.times import http_date
from saga_app.wrong_fields import each_wrong_field, wrong_fields

_LOG: Final = logging.getLogger(__name__)
#: Statuses below 500 that say "not now", and not "wrong".
NOT_NOW: Final = frozenset({408, 409, 425, 429})
LONGEST_DETAIL: Final = 200


class HttpProvider:
    """The service at `address`; see `ports.Provider`. `token` is sent as a bearer token. Times are in seconds.

    The connections are made when the first call is, so it is built outside of an event loop; `close` ends them.
    """

    def __init__(
        self,
        name: str,
        address: str,
        token: str = "",
        time_limit: float = 20.0,
        mode: ProviderMode | None = None,
    ) -> None:
        self._name = name
        self._mode = mode
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._time_limit = aiohttp.ClientTimeout(total=time_limit)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def report(self) -> ProviderReport:
        """Asks for the ledger from now on, which is empty. Only a setting knows the mode."""
        since = {"since": datetime.now(UTC).isoformat()}
        try:
            async with self._open().get(
                f"{self._address}/effects", params=since, allow_redirects=False
            ) as response:
                said = _printable(await _read(response, MOST_LEDGER_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswer(type(error).__name__, str(error)) from error
        if response.status in (401, 403):
            raise KeyRefused(f"{response.status} {said}".strip())
        if response.status >= 500 or response.status in NOT_NOW:
            raise NoAnswer(f"http_{response.status}", said)
        if response.status != 200:
            raise LedgerUnreadable(f"GET {self._address}/effects answers {response.status} {said}".strip())
        return ProviderReport(self._mode, http_date(response.headers.get("Date", "")))

    async def do(self, call: Call) -> Answer:
        return await self._ask(call, Action.DO)

    async def prevent(self, call: Call) -> Answer:
        return await self._ask(call, Action.PREVENT)

    async def undo(self, call: Call) -> Answer:
        return await self._ask(call, Action.UNDO)

    async def capture(self, call: Call) -> Answer:
        return await self._ask(call, Action.CAPTURE)

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        """`ValueError`: the contract has no events. An answer that is `pending` is asked for again."""
        raise ValueError(f"{self._name} is an HTTP provider: it sends no events")

    async def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        """Every effect that the service was asked for since then; `LedgerUnreadable` if it cannot be had whole."""
        after: str | None = None
        while True:
            query = {"since": since.astimezone(UTC).isoformat()} | ({} if after is None else {"after": after})
            page = await self._page(query)
            for effect in page.effects:
                yield effect.entry()
            if page.next is None:
                return
            if page.next == after:
                raise LedgerUnreadable(f"{self._name}: the page after {after!r} names itself as the next one")
            after = page.next

    async def _ask(self, call: Call, action: Action) -> Answer:
        body = contract.HttpCall.about(call._replace(action=action), _order(call.order, self._name))
        try:
            async with self._open().post(
                f"{self._address}/{call.step}/{action}",
                data=body.model_dump_json(exclude_none=True),
                headers={"Content-Type": "application/json", "Idempotency-Key": call.key(action)},
                allow_redirects=False,
            ) as response:
                text = await _read(response, MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Whether it came to the service, and what it did there, nobody knows. This is also a body that was cut.
            raise NoAnswer(type(error).__name__, str(error)) from error
        return self._answer(response, text, f"{action} {call.effect}")

    def _answer(self, response: aiohttp.ClientResponse, text: bytes, what: str) -> Answer:
        status = response.status
        if status == 200:
            try:
                return contract.HttpAnswer.model_validate_json(text).answer()
            except ValidationError as error:
                return self._mistake(
                    "bad_answer", what, wrong_fields(each_wrong_field(error), LONGEST_DETAIL)
                )
        said = _printable(text)
        if status >= 500 or status in NOT_NOW:
            wait = _seconds(response.headers.get("Retry-After", ""))
            raise NoAnswer(f"http_{status}", said, wait)
        return self._mistake(f"http_{status}", what, said)

    def _mistake(self, code: str, what: str, detail: str) -> Answer:
        _LOG.error(
            "provider %s: %s: %s (%s). Nothing is known of the effect, and it is asked for again. The address, the "
            "token or the service is wrong: see docs/how-to/call-your-own-service.md",
            self._name,
            what,
            code,
            detail,
        )
        return Answer(Outcome.UNKNOWN, code=code, detail=detail[:LONGEST_DETAIL])

    async def _page(self, query: Mapping[str, str]) -> contract.Ledger:
        try:
            async with self._open().get(
                f"{self._address}/effects", params=query, allow_redirects=False
            ) as response:
                text = await _read(response, MOST_LEDGER_BYTES)
            if response.status != 200:
                raise LedgerUnreadable(
                    f"{self._name}: the ledger answers {response.status} {_printable(text)}"
                )
            return contract.Ledger.model_validate_json(text)
        except ValidationError as error:
            wrong = wrong_fields(each_wrong_field(error), LONGEST_DETAIL)
            raise LedgerUnreadable(f"{self._name}: the ledger is not as the contract says: {wrong}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LedgerUnreadable(f"{self._name}: the ledger cannot be read: {error!r}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The dispatcher bounds the calls at once, and settings say who is asked: no variable of a proxy does.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=self._time_limit,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def provider(options: ProviderOptions) -> HttpProvider:
    """The factory. `SettingsError` if the address is missing, or a token would be sent where others can read it."""
    address, token = options.get("ADDRESS"), options.secret("TOKEN")
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
        raise SettingsError(
            f"{options.setting('ADDRESS')} is {without_password(address)!r}; it is https://HOST/PATH, or http://HOST/PATH"
        )
    if token and url.scheme == "http" and url.hostname not in LOOPBACK:
        raise SettingsError(
            f"{options.setting('TOKEN')} would be sent in the clear: {options.setting('ADDRESS')} must be https://..."
        )
    mode = options.get("MODE")
    if mode and mode not in list(ProviderMode):
        raise SettingsError(f"{options.setting('MODE')} is {mode!r}; it is {' or '.join(ProviderMode)}")
    known = ProviderMode(mode) if mode else None
    return HttpProvider(options.name, address, token, options.timeout, known)


class LedgerUnreadable(Exception):
    """A ledger that cannot be had whole: nobody may conclude anything from a part of it."""


def _order(order: Order, name: str) -> Order:
    """The order without a token or reference that is for another provider."""
    others = {
        each: None
        for each in ("payment_method", "payment_reference")
        if not (getattr(order, each) or f"{name}:").startswith(f"{name}:")
    }
    return Order.of(**{**dict(order), **others}) if others else order


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body; `ClientPayloadError` if it is cut, or longer than that."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            raise aiohttp.ClientPayloadError(f"an answer of more than {most} bytes")
    return bytes(body)


def _seconds(retry_after: str) -> float:
    """`Retry-After`, in seconds from now; 0 if there is none that can be read."""
    if retry_after.strip().isdecimal():
        return min(float(retry_after), LONGEST_WAIT)
    if (at := http_date(retry_after)) is not None:
        return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)
    return 0.0


def _printable(text: bytes) -> str:
    """The beginning of a body that is no answer, on one line."""
    line = " ".join(text[:500].decode("utf-8", "replace").split())
    return "(it has a card number)" if has_card_number([line]) else printable(line)[:LONGEST_DETAIL]
