"""Asks a service for the rules of the test kit, and holds each answer against the earlier ones."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple, Self, TypeVar

import aiohttp
from pydantic import ValidationError
from pydantic_core import to_json

from saga_app.core.order import Order
from saga_app.core.outside import Action
from saga_app.core.records import Outcome, StepName
from saga_app.effects import contract
from saga_app.effects.contract import MOST_BYTES, MOST_LEDGER_BYTES, HttpAnswer, HttpEffect
from saga_app.wrong_fields import each_wrong_field, wrong_fields

Read = TypeVar("Read", HttpAnswer, HttpEffect, contract.Ledger)
#: By fact, those that may follow it.
FACTS: Final[Mapping[Outcome, frozenset[Outcome]]] = {
    Outcome.DONE: frozenset({Outcome.DONE, Outcome.CAPTURED, Outcome.UNDONE}),
    Outcome.CAPTURED: frozenset({Outcome.CAPTURED, Outcome.UNDONE}),
    Outcome.REFUSED: frozenset({Outcome.REFUSED}),
    Outcome.UNDONE: frozenset({Outcome.UNDONE}),
}
#: An order that most services accept.
ORDER: Final[Mapping[str, Any]] = {
    "order_id": "check",
    "currency": "GBP",
    "amount": "40.00",
    "country": "GB",
    "warehouse": "main",
    "lines": [{"sku": "MUG", "quantity": 2}],
}
#: Seconds between two calls about an effect that is pending.
PAUSE: Final = 0.2


class Broken(Exception):
    """A rule that the service breaks; the text says how."""


class Told(NamedTuple):
    """An answer, and between which times it was given."""

    asked: float
    told: float
    answer: HttpAnswer


class Kit:
    """The service under test. Seconds: `patience` for a fact, `time_limit` for one answer."""

    def __init__(
        self,
        address: str,
        step: StepName,
        session: aiohttp.ClientSession,
        *,
        order: Mapping[str, Any] = ORDER,
        token: str = "",
        patience: float = 30.0,
    ) -> None:
        self.address = address.rstrip("/")
        self.step = step
        self.token = token
        self.patience = patience
        self.began = datetime.now(UTC)
        self._order = order
        self._session = session
        self._numbers = count(1)
        self._told: defaultdict[str, list[Told]] = defaultdict(list)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, address: str, step: StepName, time_limit: float = 20.0, **options: Any
    ) -> AsyncIterator[Self]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=time_limit)) as session:
            yield cls(address, step, session, **options)

    def call(self, action: Action | None = None, like: contract.HttpCall | None = None) -> contract.HttpCall:
        """A call about an effect that nobody has asked for, of an order of its own; or `like` another one's order."""
        stamp = f"{self.began:%Y%m%d%H%M%S%f}-{next(self._numbers)}"
        order = (
            Order.model_validate_json(to_json({**self._order, "order_id": f"check-{stamp}"}))
            if like is None
            else like.order
        )
        return contract.HttpCall(
            action=action or Action.DO,
            effect=f"check:{self.step}:{order.order_id}:{stamp}",
            step=self.step,
            order=order,
            segment="0:1",
            tries=0,
            age=0,
        )

    async def ask(self, call: contract.HttpCall, action: Action) -> HttpAnswer:
        """One call; `Broken` if it is not answered as the contract says, or against an earlier answer."""
        call = call.model_copy(update={"action": action})
        asked = time.monotonic()
        status, body = await self.post(
            f"/{self.step}/{action}", call.model_dump_json(exclude_none=True), call.effect
        )
        if status != 200:
            raise Broken(f"{action} is answered with status {status}: {body[:200]!r}")
        answer = _read(HttpAnswer, body, str(action))
        self._told[call.effect].append(Told(asked, time.monotonic(), answer))
        self._grows(call.effect)
        return answer

    async def settle(self, call: contract.HttpCall, action: Action) -> HttpAnswer:
        """The fact that this verb brings in the end."""
        end = time.monotonic() + self.patience
        reference = call.reference
        while True:
            answer = await self.ask(call.model_copy(update={"reference": reference}), action)
            if answer.outcome in FACTS:
                return answer
            reference = answer.reference or reference
            if time.monotonic() > end:
                raise Broken(
                    f"{action} is still {answer.outcome} after {self.patience:g} seconds: see --patience"
                )
            await asyncio.sleep(max(PAUSE, min(answer.wait, self.patience)))

    async def done(self) -> tuple[contract.HttpCall, HttpAnswer]:
        """An effect that is done."""
        call = self.call()
        answer = await self.settle(call, Action.DO)
        if answer.outcome is not Outcome.DONE:
            raise Broken(
                f"do is {answer.outcome} for an order that this check needs to be accepted: name one with --order"
            )
        return call.model_copy(update={"reference": answer.reference}), answer

    async def look(self, effect: str) -> HttpEffect | None:
        """The effect as the service has it; None if it knows nothing of it."""
        status, body = await self.get(f"/{self.step}/effects/{contract.effect_path(effect)}")
        if status == 404:
            return None
        if status != 200:
            raise Broken(f"GET of an effect is answered with status {status}: {body[:200]!r}")
        return _read(HttpEffect, body, "GET of an effect")

    async def ledger(self, since: datetime | None = None) -> list[HttpEffect]:
        """All pages of the ledger."""
        # A service whose clock is a little behind has begun the first effects before this check.
        start = (since or self.began - timedelta(minutes=10)).isoformat()
        found: list[HttpEffect] = []
        after: str | None = None
        while True:
            query = {"since": start} | ({} if after is None else {"after": after})
            status, body = await self.get("/effects", query)
            if status != 200:
                raise Broken(f"GET of the ledger is answered with status {status}: {body[:200]!r}")
            page = _read(contract.Ledger, body, "GET of the ledger")
            found += page.effects
            if page.next is None:
                return found
            if page.next == after:
                raise Broken(f"the page of the ledger after {after!r} names itself as the next one")
            after = page.next

    async def post(self, path: str, body: str, effect: str, *, token: str | None = None) -> tuple[int, bytes]:
        """Status and body of a POST."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{effect}:{path.rpartition('/')[2]}",
            **self._authorization(self.token if token is None else token),
        }
        return await self._request("POST", path, MOST_BYTES, data=body, headers=headers)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of a GET."""
        headers = self._authorization(self.token)
        return await self._request("GET", path, MOST_LEDGER_BYTES, params=query or {}, headers=headers)

    async def _request(self, method: str, path: str, most: int, **options: Any) -> tuple[int, bytes]:
        # The address is as it is: an escaped colon stays escaped.
        async with self._session.request(
            method, f"{self.address}{path}", allow_redirects=False, **options
        ) as response:
            body = await response.read()
            if len(body) > most:
                raise Broken(
                    f"{method} {path} is answered with {len(body)} bytes, and {most} are read at most"
                )
            return response.status, body

    def _authorization(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _grows(self, effect: str) -> None:
        """`Broken` if the last answer is against one that was there before it was asked for."""
        *before, last = self._told[effect]
        for earlier in before:
            if earlier.told <= last.asked:
                _follows(earlier.answer, last.answer)


def _follows(earlier: HttpAnswer, later: HttpAnswer) -> None:
    if earlier.outcome not in FACTS or later.outcome not in FACTS:
        return
    if later.outcome not in FACTS[earlier.outcome]:
        raise Broken(f"the effect is {later.outcome}, and was {earlier.outcome} before")
    if earlier.reference and later.reference and later.reference != earlier.reference:
        raise Broken(f"the reference is {later.reference}, and was {earlier.reference} before")


def _read(model: type[Read], body: bytes, what: str) -> Read:
    try:
        found = model.model_validate_json(body)
    except ValidationError as error:
        raise Broken(
            f"{what} is not answered as the contract says: {wrong_fields(each_wrong_field(error), 200)}"
        ) from None
    entries: tuple[HttpEffect, ...] = getattr(found, "effects", ())
    unknown = found.unknown_fields.union(*(each.unknown_fields for each in entries))
    if unknown:
        raise Broken(f"{what} has fields that the contract does not know: {', '.join(sorted(unknown))}")
    return found
