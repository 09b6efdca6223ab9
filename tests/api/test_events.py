"""The events of an order, as a reader of server-sent events takes them."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from saga_app.api.app import create_app
from saga_app.api.events import MOST_STREAMS, OrderEvents
from tests.api.door import URL, Door


def read(text: str) -> list[tuple[str, dict[str, Any], str]]:
    """Name, data and id of each event."""
    events = []
    for block in filter(None, text.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        events.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
    return events


def test_a_stream_has_every_record_and_ends_with_the_ending(door: Door):
    answer = door.ask("GET", "/v1/orders/o-1/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = read(answer.text)
    told = door.ask("GET", "/v1/orders/o-1").json()
    assert [data for name, data, _ in events if name == "record"] == told["timeline"]
    assert [each_id for name, _, each_id in events if name == "record"] == [
        each["place"] for each in told["timeline"]
    ]
    assert events[-1][:2] == (
        "ended",
        {name: told[name] for name in ("order_id", "status", "reason", "step", "ended_at")},
    )


def test_a_cancelled_order_ends_with_its_reason(door: Door):
    name, data, _ = read(door.ask("GET", "/v1/orders/sold-out/events").text)[-1]
    assert (name, data["status"], data["reason"]) == ("ended", "CANCELLED", "out_of_stock")


def test_a_stream_of_an_order_that_nobody_knows_is_a_404(door: Door):
    assert door.ask("GET", "/v1/orders/nobody-at-all/events").status_code == 404


def test_a_stream_of_an_open_order_ends_when_the_process_does(door: Door, monkeypatch: pytest.MonkeyPatch):
    looks = 0
    find = door.parts.database.query

    async def query(run: Any) -> Any:
        nonlocal looks
        looks += 1
        door.parts.stops = looks == 3
        return await find(run)

    monkeypatch.setattr(door.parts.database, "query", query)
    monkeypatch.setattr("saga_app.api.events.LOOK_EVERY", 0.05)
    events = read(door.ask("GET", "/v1/orders/waiting/events").text)
    assert events and all(name == "record" for name, _, _ in events)


def test_one_stream_too_many_is_told_when_to_come_back(door: Door, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("saga_app.api.events.MOST_STREAMS", 0)
    answer = door.ask("GET", "/v1/orders/o-1/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert MOST_STREAMS > 100


def test_a_stream_that_is_looked_up_counts_and_none_counts_after_its_end(
    door: Door, monkeypatch: pytest.MonkeyPatch
):
    streams, find = OrderEvents(door.parts), door.parts.database.query
    counted: list[int] = []

    async def query(run: Any) -> Any:
        counted.append(streams.open)
        return await find(run)

    monkeypatch.setattr(door.parts.database, "query", query)
    monkeypatch.setattr("saga_app.api.events.OrderEvents", lambda parts: streams)
    client = TestClient(create_app(door.parts), base_url=URL)
    assert client.get("/v1/orders/nobody-at-all/events").status_code == 404 and streams.open == 0
    assert client.get("/v1/orders/o-1/events").status_code == 200 and streams.open == 0
    assert set(counted) == {1}
