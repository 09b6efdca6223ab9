"""A client of `saga api`."""

import json
import time
from http import HTTPStatus
from typing import Any, Final, Self

import aiohttp

from saga_app.client.async_client import AnyOrder, bytes_of
from saga_app.client.results import ApiError, OrderEnding, OrderOpen, RecordRefused, TryAgain
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import Reason, StepName
from saga_app.core.rows import Status
from saga_app.times import fixed_moment
from saga_app.urls import segment

#: Seconds that one request waits for an ending, and seconds in which every other answer must come.
_LONGEST_WAIT: Final = 30.0
_ANSWER: Final = 20.0


class HttpClient:
    """Asks the API at `url`, such as http://127.0.0.1:6080, with a token if it wants one; see `AsyncClient`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def place(self, order: AnyOrder) -> str:
        _, found = await self._ask("POST", "/v1/orders", bytes_of(order))
        return str(found["order_id"])

    async def cancel(self, order_id: str, note: str | None = None) -> None:
        body = {} if note is None else {"note": note}
        path = f"/v1/orders/{segment(order_id)}/cancel"
        # If it is too late, the ending says so.
        await self._ask("POST", path, json.dumps(body).encode(), allowed=HTTPStatus.CONFLICT)

    async def wait(self, order_id: str, seconds: float = 30.0) -> OrderEnding:
        end = time.monotonic() + seconds
        while True:
            rest = max(0.0, end - time.monotonic())
            wait = min(_LONGEST_WAIT, rest)
            path = f"/v1/orders/{segment(order_id)}?wait={wait:.3f}"
            status, found = await self._ask("GET", path, more=wait, allowed=HTTPStatus.NOT_FOUND)
            if found.get("status") in (Status.COMPLETED, Status.CANCELLED):
                return _ending(found)
            if rest <= _LONGEST_WAIT:
                what = "is not known" if status == HTTPStatus.NOT_FOUND else "has not ended"
                raise OrderOpen(f"order {order_id} {what} after {seconds:g} s")

    async def _ask(
        self, method: str, path: str, body: bytes | None = None, *, more: float = 0.0, allowed: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """The status and the object in the answer; statuses from 400 on are errors, unless one is allowed."""
        assert self._session is not None, "a client is used in `async with`"
        timeout = aiohttp.ClientTimeout(total=_ANSWER + more)
        try:
            async with self._session.request(
                method, self._url + path, data=body, timeout=timeout
            ) as response:
                status, text = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TryAgain(f"{self._url} does not answer: {str(error) or type(error).__name__}") from error
        try:
            found = json.loads(text)
        except ValueError:
            found = {}
        if not isinstance(found, dict):
            found = {}
        if status >= HTTPStatus.BAD_REQUEST and status != allowed:
            raise _error(status, found)
        return status, found


def _error(status: int, problem: dict[str, Any]) -> Exception:
    code, detail = str(problem.get("code", "")), str(problem.get("detail") or problem.get("title") or "")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return TryAgain(detail)
    if status == HTTPStatus.CONFLICT:
        return RecordRefused(code, detail)
    if code in {*Fault}:
        return Rejected(Fault(code), detail)
    return ApiError(status, detail)


def _ending(found: dict[str, Any]) -> OrderEnding:
    reason, step = found.get("reason"), found.get("step")
    return OrderEnding(
        found["order_id"],
        Status(found["status"]),
        fixed_moment(found["ended_at"]),
        Reason(reason) if reason else None,
        StepName(step) if step else None,
    )
