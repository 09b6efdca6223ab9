"""A row of another worker is asked for there, by a request of our own.

Answers this fault of stock Faust: `/table/` sends cookies and tokens to another worker
(`docs/reference/faust.md#c18`).
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from faust.exceptions import SameNode
from faust.types import TP
from faust.web.exceptions import ServiceUnavailable
from yarl import URL

from harness.ports import free_port
from saga_app.engine.faust import forwarding
from saga_app.engine.faust.app import SagaApp
from saga_app.engine.faust.forwarding import FORWARDED
from tests.engine.faust.parts import in_a_loop, our_app, stock_app

SECRETS = {"Cookie": "session=hunter2", "Authorization": "Bearer hunter2", "X-Token": "hunter2"}
ROW = {"version": 7, "status": "OPEN"}


class GivenMembers:
    """Stands for the assignor: these workers are in the group."""

    def __init__(self, *urls: URL) -> None:
        self._tps_url = {TP("saga-orders-changelog", part): str(url) for part, url in enumerate(urls)}
        self._external_tps_url: dict[TP, str] = {}


@asynccontextmanager
async def other_worker(answer: web.Response) -> AsyncIterator[tuple[URL, list[web.Request]]]:
    """Another worker: its address, and all that it was asked."""
    asked: list[web.Request] = []

    async def respond(request: web.Request) -> web.Response:
        asked.append(request)
        return answer

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", respond)
    runner, port = web.AppRunner(application), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield URL(f"http://127.0.0.1:{port}"), asked
    finally:
        await runner.cleanup()


def request(path: str = "/table/orders/a%2Fb/?token=hunter2", **headers: str) -> web.Request:
    return make_mocked_request("GET", path, headers={**SECRETS, **headers})


async def answered(app: Any, member: URL, asked: web.Request) -> Any:
    return await app.router._route_req(member, app.web, asked)


def app_in_group(folder: Path, *members: URL) -> SagaApp:
    app = our_app(folder)
    app.router._assignor = GivenMembers(*members)
    return app


@in_a_loop
async def test_a_row_of_another_worker_is_asked_for_without_cookies_and_tokens(tmp_path: Path) -> None:
    async with other_worker(web.json_response(ROW)) as (url, asked):
        answer = await answered(app_in_group(tmp_path, url), url, request())
    (heard,) = asked
    assert "hunter2" not in f"{heard.headers} {heard.raw_path}"
    assert (heard.method, heard.raw_path, heard.headers[FORWARDED]) == ("GET", "/table/orders/a%2Fb/", "1")
    assert (answer.status, answer.content_type, json.loads(answer.text)) == (200, "application/json", ROW)


@in_a_loop
async def test_stock_faust_sends_the_cookies_of_a_browser_to_another_worker(tmp_path: Path) -> None:
    app = stock_app(tmp_path)
    async with other_worker(web.json_response(ROW)) as (url, asked):
        await answered(app, url, request())
        await app.http_client.close()
    assert asked[0].headers["Cookie"] == SECRETS["Cookie"]


@in_a_loop
async def test_a_request_of_another_worker_is_not_sent_on(tmp_path: Path) -> None:
    async with other_worker(web.json_response(ROW)) as (url, asked):
        with pytest.raises(ServiceUnavailable, match="ask again"):
            await answered(app_in_group(tmp_path, url), url, request(**{FORWARDED: "1"}))
    assert asked == []


@in_a_loop
async def test_a_row_that_is_here_is_asked_for_nowhere(tmp_path: Path) -> None:
    app = app_in_group(tmp_path)
    with pytest.raises(SameNode):
        await answered(app, URL(app.conf.canonical_url), request())


@pytest.mark.parametrize(
    "member", ["http://127.0.0.1:1", "http://ada:hunter2@127.0.0.1:2", "ftp://127.0.0.1:3", "/x"]
)
def test_nobody_outside_the_group_is_asked(tmp_path: Path, member: str) -> None:
    @in_a_loop
    async def run() -> None:
        # The first is no member; the others are members with an address that no worker has.
        members = [] if member.endswith(":1") else [URL(member)]
        with pytest.raises(ServiceUnavailable, match="no worker of this group") as told:
            await answered(app_in_group(tmp_path, *members), URL(member), request())
        assert "hunter2" not in str(told.value)

    run()


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<script>alert(1)</script>", content_type="text/html"),
        web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}, text="{}"),
        web.Response(status=500, text="{}"),
        web.Response(body=b"\xff\xfe"),
        web.Response(body=b'"' + b"x" * 2000 + b'"'),
    ],
    ids=["html", "redirect", "error", "bytes", "too much"],
)
def test_an_answer_that_is_no_row_is_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: web.Response
) -> None:
    monkeypatch.setattr(forwarding, "MOST_BYTES", 1000)

    @in_a_loop
    async def run() -> None:
        async with other_worker(answer) as (url, _):
            with pytest.raises(ServiceUnavailable, match="which has the row"):
                await answered(app_in_group(tmp_path, url), url, request())

    run()
