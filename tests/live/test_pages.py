"""The pages of a real worker, beside the order database that another process fills."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

import pytest

from harness.copies import CopyProcess
from harness.log import until
from harness.scene import Scene
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.settings import Settings
from tests.web.asking import HttpResponse, Stream, ask

ORDER = {"order_id": "4711", "amount": "10.00"}


@pytest.fixture
def worker(scene: Scene) -> Iterator[WorkerProcess]:
    """A worker and the process that copies its orders."""
    url = f"sqlite:///{scene.folder}/orders.db"
    worker = scene.worker("w1", SAGA_DB_URL=url).start().ready()
    settings = Settings(broker=scene.broker, app_id=scene.app_id, db_url=url)
    with closing(CopyProcess(settings, scene.folder / "orderdb.log").start()):
        yield worker


def url(worker: WorkerProcess) -> str:
    return f"http://127.0.0.1:{worker.port}"


def shown(worker: WorkerProcess, path: str, text: str, seconds: float = 30) -> HttpResponse:
    """The page, as soon as it says this."""
    seen: list[HttpResponse] = []

    def says() -> bool:
        seen[:] = [ask(url(worker), path)]
        return text in seen[0].text

    until(says, seconds, lambda: f"{path} does not say {text!r}: {seen[0].text}")
    return seen[0]


def letters(worker: WorkerProcess, *reasons: str) -> dict[str, str]:
    """The ids of the dead letters with these reasons; there is one of each."""
    for reason in reasons:
        shown(worker, "/dead-letters/", f'title="{reason}"')
    return {
        reason: row.partition("/dead-letters/")[2].partition("/")[0]
        for row in ask(url(worker), "/dead-letters/").text.split("<tr>")
        for reason in reasons
        if f'title="{reason}"' in row
    }


@pytest.mark.promise("pages of a worker")
def test_an_order_is_followed_cancelled_too_late_and_nudged(scene: Scene, worker: WorkerProcess) -> None:
    scene.shop.raw(topics.CHECKOUT, json.dumps(ORDER).encode(), b"4711")
    assert shown(worker, "/orders/4711/", "Completed: paid, reserved, shipment booked.").status == 200
    assert "4711" in ask(url(worker), "/").text
    for action, said in (("cancel", "cancellation requested"), ("nudge", "take the payment again")):
        answer = ask(url(worker), f"/orders/4711/{action}", "note=changed+my+mind")
        assert (answer.status, answer.headers["Location"]) == (303, f"/orders/4711/?done={action}")
        if action == "cancel":
            shown(worker, "/orders/4711/", f"{said}: changed my mind (sent by pages 127.0.0.1)")
    shown(worker, "/orders/4711/", "It was too late to cancel it.")
    # It was placed by a program, which does not say who it is, and again by the page.
    shown(worker, "/orders/4711/", ">placed<")
    shown(worker, "/orders/4711/", ">placed (sent by pages 127.0.0.1)<")
    assert '"action": "send"' in worker.text(), "the operator log is in the worker's log"
    place = f"{topics.CHECKOUT}/{topics.partition_of('4711', topics.DEFAULT_PARTITIONS)}/0"
    assert "&#34;amount&#34;: &#34;10.00&#34;" in ask(url(worker), f"/records/{place}/").text
    assert ask(url(worker), f"/records/{topics.PAYMENT}/0/999/").status == 404
    assert worker.get("/table/orders/4711/")[0] == 200
    scene.prove()


@pytest.mark.slow("another page of a worker")
def test_a_dead_letter_is_tried_and_sent_again(scene: Scene, worker: WorkerProcess) -> None:
    """It lies in the inbox of another service, so that nothing is wrong with it but its place."""
    scene.shop.raw(topics.PAYMENT, json.dumps(ORDER).encode(), b"4711")
    scene.shop.raw(topics.PAYMENT, b"{", b"4711")
    found = letters(worker, "unexpected_record", "unreadable")
    letter = f"/dead-letters/{found['unexpected_record']}/"
    tried = ask(url(worker), f"{letter}dry-run", "")
    assert tried.status == 200 and "It would be sent as <code>OrderPlaced</code>" in tried.text
    refused = ask(url(worker), f"/dead-letters/{found['unreadable']}/dry-run", "")
    assert refused.status == 409 and "it would be refused again" in refused.text
    assert ask(url(worker), f"{letter}replay", "").status == 303
    shown(worker, "/orders/4711/", "Completed: paid, reserved, shipment booked.")
    shown(worker, letter, "although it is settled")
    assert ask(url(worker), f"{letter}replay", "").status == 409
    assert ask(url(worker), f"{letter}replay", "force=1").status == 303


@pytest.mark.slow("another page of a worker")
def test_a_dead_letter_is_corrected_in_place_and_others_are_dismissed_together(
    scene: Scene, worker: WorkerProcess
) -> None:
    scene.shop.raw(topics.CHECKOUT, b'{"order_id": "4711", "amount": "ten"}', b"4711")
    scene.shop.raw(topics.CHECKOUT, b"{", b"4711")
    found = letters(worker, "invalid", "unreadable")
    letter = f"/dead-letters/{found['invalid']}/"
    assert ask(url(worker), f"{letter}dry-run", "payload=%7B").status == 409
    corrected = "payload=" + quote(json.dumps(ORDER))
    tried = ask(url(worker), f"{letter}dry-run", corrected)
    assert tried.status == 200
    assert "Corrected so, it would be sent as <code>OrderPlaced</code>" in tried.text
    assert "&#34;10.00&#34;" in tried.text, "the form keeps what was typed"
    assert ask(url(worker), f"{letter}replay", corrected).status == 303
    shown(worker, "/orders/4711/", "Completed: paid, reserved, shipment booked.")
    other = found["unreadable"]
    assert ask(url(worker), "/bulk/dead-letters/dismiss", f"ids={other}&note=").status == 409
    answer = ask(url(worker), "/bulk/dead-letters/dismiss", f"ids={other}&note=a+test")
    assert answer.headers["Location"] == "/dead-letters/?done=dismiss&number=1"
    shown(worker, f"/dead-letters/{other}/", ": a test</dd>")
    assert "<p>None.</p>" in ask(url(worker), "/dead-letters/").text


@pytest.mark.slow("another page of a worker")
def test_several_orders_are_nudged_together_and_those_that_ended_are_left_alone(
    scene: Scene, worker: WorkerProcess
) -> None:
    scene.shop.raw(topics.CHECKOUT, json.dumps(ORDER).encode(), b"4711")
    shown(worker, "/orders/4711/", "Completed")
    page = ask(url(worker), "/bulk/orders/?do=cancel&id=4711")
    assert "Left as they are: 1 order" in page.text
    answer = ask(url(worker), "/bulk/orders/cancel", "ids=4711")
    assert answer.headers["Location"] == "/orders/?done=cancel&number=0"
    assert "cancellation requested" not in ask(url(worker), "/orders/4711/").text


@pytest.mark.slow("another page of a worker")
def test_the_topology_shows_workers_and_lag(scene: Scene, worker: WorkerProcess) -> None:
    scene.shop.raw(topics.CHECKOUT, json.dumps(ORDER).encode(), b"4711")
    shown(worker, "/orders/4711/", "Completed")
    answer = shown(worker, "/topology/", "; 0 records not taken.")
    assert "1 worker in the group" in answer.text and "which is stable" in answer.text
    assert f'<a href="{url(worker)}"' in answer.text
    # Above the page stands that nobody copies: this test has no copier.
    assert "nobody" not in answer.text.partition("<main")[2]


@pytest.mark.slow("another page of a worker")
def test_an_open_page_does_not_keep_a_worker_from_ending(worker: WorkerProcess) -> None:
    """Nor does it lengthen the end by more than the second in which a stream notices it."""
    shown(worker, "/", "Newest orders")
    streams = [Stream(url(worker), "/live/") for _ in range(3)]
    assert all("Newest orders" in each.event() for each in streams)
    began = time.monotonic()
    assert worker.end() == 0
    assert time.monotonic() - began < 20
    assert not any(each.event() for each in streams)
