"""The picture of services and workers, from readings."""

import asyncio
import json
import struct
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import expect

from saga_app import topics
from saga_app.kafka.consumer_group import address_in
from saga_app.times import now
from saga_app.web.start_times import AGAIN, StartTimes
from tests.support.health import all_well
from tests.web.shop import PageServer


class LiveAnswer(BaseHTTPRequestHandler):
    """Answers as a worker at /livez, whose start the server has."""

    def do_GET(self) -> None:
        body = self.server.told if self.path == "/livez" else b"{}"  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        pass


@contextmanager
def telling(told: bytes) -> Iterator[str]:
    """The address of a worker that says this at /livez."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), LiveAnswer)
    server.told = told  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def worker() -> Iterator[str]:
    """The address of a worker that runs for two hours and five minutes."""
    with telling(b'{"alive": true, "started": %d}' % (now() - 125 * 60_000 - 5_000)) as address:
        yield address


@pytest.fixture
def behind(server: PageServer, worker: str) -> Any:
    """Payment has three records that nobody has taken, and two workers."""
    well = all_well(server.settings)
    assert well.kafka is not None
    inboxes = [
        each._replace(lag=3, since=now() - 5_000, owner="10.0.0.2 …fedcba")
        if each[:2] == (topics.PAYMENT, 0)
        else each
        for each in well.kafka.inboxes
    ]
    members = well.kafka.members._replace(number=2, addresses={"10.0.0.2 …fedcba": worker})
    reading = well._replace(kafka=well.kafka._replace(inboxes=inboxes, members=members))
    server.health.given = lambda: reading._replace(at=now())
    yield
    server.health.given = lambda: all_well(server.settings)


def test_the_picture_has_the_lag_at_the_service_that_has_it(open_page: Any, behind: None) -> None:
    page = open_page("/topology/")
    boxes = page.get_by_label("Services, in the sequence of the route").get_by_role("listitem")
    assert [each.locator("strong").inner_text() for each in boxes.all()] == [
        *("checkout", "payment", "inventory", "shipping")
    ]
    expect(boxes.nth(1)).to_contain_text("3 not taken, since ")
    expect(boxes.nth(1)).to_contain_text("on 2 workers")
    expect(boxes.nth(0)).to_contain_text("all taken")


def test_each_worker_has_a_row_with_its_address_its_uptime_and_its_partitions(
    open_page: Any, behind: None, worker: str
) -> None:
    rows = open_page("/topology/").get_by_role("region", name="Workers").locator("tbody tr")
    expect(rows).to_have_count(2)
    lagging = rows.filter(has_text="fedcba")
    assert lagging.locator("td").all_inner_texts() == [worker, "2 h 5 min", "0", "1", "0", "0", "3"]
    expect(lagging.get_by_role("link")).to_have_attribute("href", worker)
    expect(rows.filter(has_text="abcdef")).to_contain_text("not told")


def test_partitions_are_shown_on_demand_and_stay_open_while_the_page_is_live(
    open_page: Any, server: PageServer, behind: None
) -> None:
    page = open_page("/topology/")
    expect(page.locator("#live-state")).to_have_text("Live.")
    expect(page.get_by_role("region", name=topics.PAYMENT)).to_be_hidden()
    page.locator(f"#of-{topics.PAYMENT} summary").click()
    server.health.given = lambda: all_well(server.settings)
    expect(page.locator(".topology li.waits")).to_have_count(0, timeout=15_000)
    expect(page.get_by_role("region", name=topics.PAYMENT)).to_be_visible()
    expect(page.locator(f"#of-{topics.PAYMENT} summary")).to_be_focused()


def subscription(url: Any) -> bytes:
    own = json.dumps({"url": url}).encode()
    return struct.pack(">hih", 2, 1, 3) + b"abc" + struct.pack(">i", len(own)) + own


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (subscription("http://w1:6066"), "http://w1:6066"),
        (subscription("javascript:alert(1)"), None),
        (subscription("http://" + "x" * 300), None),
        (subscription(7), None),
        (subscription("http://w1:6066")[:-4], None),
        (b"\x00", None),
        (None, None),
    ],
)
def test_a_worker_tells_its_address_in_its_subscription(told: bytes | None, address: str | None) -> None:
    assert address_in(told) == address


def in_thread(story: Coroutine[Any, Any, None]) -> None:
    """Playwright has a loop in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, story).result()


@pytest.mark.parametrize(
    "told",
    [b"", b"[]", b"nonsense", b'{"started": "x"}', b'{"started": -1}', b'{"started": true}', b"x" * 5_000],
)
def test_a_worker_that_tells_no_start_is_asked_again_after_a_while_only(told: bytes) -> None:
    async def story(address: str) -> None:
        times = StartTimes()
        assert await times.of({"w": address}) == {}
        asked = times._asked_at["w"]
        assert await times.of({"w": address}) == {} and times._asked_at["w"] == asked
        times._asked_at["w"] -= AGAIN
        assert await times.of({"w": address}) == {} and times._asked_at["w"] > asked - AGAIN

    with telling(told) as address:
        in_thread(story(address))


def test_a_start_is_asked_for_once_and_forgotten_with_its_member() -> None:
    async def story(address: str) -> None:
        times = StartTimes()
        assert await times.of({"w": address, "gone": "http://127.0.0.1:1"}) == {"w": 17}
        assert await times.of({"w": "http://127.0.0.1:1"}) == {"w": 17}, "it is known"
        assert await times.of({}) == {} and not times._asked_at

    with telling(b'{"started": 17}') as address:
        in_thread(story(address))
