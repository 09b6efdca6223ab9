"""Money, stock and rules that come in over HTTP; dead letters that are shown, sent again and dismissed."""

from typing import Any

import pytest

from saga_app.core.records import (
    FundsDeposited,
    FundsWithdrawn,
    PolicyChanged,
    StockAdjusted,
    StockReceived,
)
from saga_app.dead_letters.format import LetterId
from tests.api.door import Door

LETTER = "/v1/dead-letters/checkout_events:3:"


@pytest.mark.parametrize(
    ("path", "body", "kind", "own_id"),
    [
        ("/v1/deposits", {"deposit_id": "d", "customer_id": "bob", "amount": "5"}, FundsDeposited, "d"),
        ("/v1/deliveries", {"delivery_id": 7, "lines": [{"sku": "A", "quantity": 1}]}, StockReceived, "7"),
        ("/v1/withdrawals", {"withdrawal_id": "w", "customer_id": "bob", "amount": 5}, FundsWithdrawn, "w"),
        (
            "/v1/adjustments",
            {"adjustment_id": "a", "reason": "damage", "lines": [{"sku": "A", "quantity": -1}]},
            StockAdjusted,
            "a",
        ),
        ("/v1/policies", {"policy_id": "p", "limit": "10"}, PolicyChanged, "p"),
        (
            "/v1/policies",
            {"type": "PolicyChanged", "policy_id": "q", "countries": ["FR"]},
            PolicyChanged,
            "q",
        ),
    ],
)
def test_a_record_goes_to_its_inbox(door: Door, path: str, body: dict[str, Any], kind: type, own_id: str):
    answer = door.ask("POST", path, body)
    assert (answer.status_code, answer.json()) == (202, {"id": own_id})
    assert type(door.broker.taken[0][0]) is kind


def test_an_id_may_follow_from_a_key(door: Door):
    body = {"customer_id": "bob", "amount": "5"}
    ids = [door.ask("POST", "/v1/deposits", body, Idempotency_Key="k").json()["id"] for _ in range(2)]
    assert ids[0] == ids[1] and ids[0].startswith("key-")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/deposits", {"deposit_id": "d", "customer_id": "bob", "amount": "-5"}),
        ("/v1/deposits", {"type": "StockReceived", "delivery_id": "d"}),
        ("/v1/deliveries", {"delivery_id": "d", "lines": []}),
        ("/v1/withdrawals", {"withdrawal_id": "w", "customer_id": "bob", "amount": "0"}),
        ("/v1/adjustments", {"adjustment_id": "a", "lines": [{"sku": "A", "quantity": -1}]}),
        ("/v1/policies", {"policy_id": "p", "limit": "1", "countries": ["GB"]}),
        ("/v1/policies", {"policy_id": "p", "countries": ["XX"]}),
    ],
)
def test_a_record_that_a_worker_would_refuse_is_not_sent(door: Door, path: str, body: dict[str, Any]):
    answer = door.ask("POST", path, body)
    assert answer.status_code == 422 and answer.json()["detail"]
    assert not door.broker.taken


def test_letters_are_listed_and_shown_with_their_bytes(door: Door):
    page = door.ask("GET", "/v1/dead-letters").json()
    assert page["next"] is None and page["dead_letters"]
    (letter,) = [each for each in page["dead_letters"] if "nobody" in each["value"]]
    assert letter["reason"] == "unknown_order"
    assert door.ask("GET", f"/v1/dead-letters/{letter['id']}").json() == letter
    assert door.ask("GET", "/v1/dead-letters?reason=invalid").json()["dead_letters"] == []


def test_a_letter_that_is_not_there_is_a_404_and_no_place_a_422(door: Door):
    assert door.ask("GET", f"{LETTER}999").status_code == 404
    for text in ("x", "none:0:0", f"checkout_events:0:{2**64}"):
        assert door.ask("GET", f"/v1/dead-letters/{text}").status_code == 422
        assert door.ask("GET", f"/v1/dead-letters?before={text}").status_code == 422


def test_a_replay_and_a_dismissal_say_who_ordered_them(door: Door, monkeypatch: pytest.MonkeyPatch):
    done: list[tuple[Any, ...]] = []

    def replay(settings: Any, places: list[LetterId], *, force: bool) -> list[list[LetterId]]:
        done.append((settings.actor, *(each.offset for each in places), force))
        return [[LetterId("checkout_events", 1, 7)]]

    def dismiss(settings: Any, places: list[LetterId], note: str) -> None:
        done.append((settings.actor, *(each.offset for each in places), note))

    monkeypatch.setattr("saga_app.dead_letters.actions.replay", replay)
    monkeypatch.setattr("saga_app.dead_letters.actions.dismiss", dismiss)
    monkeypatch.setattr("saga_app.api.parts.require_broker", lambda settings: None)
    assert door.ask("POST", f"{LETTER}5/replay").json() == {"sent_to": ["checkout_events:1:7"]}
    assert door.ask("POST", f"{LETTER}5/replay", {"force": True}).status_code == 200
    assert door.ask("POST", f"{LETTER}5/dismiss", {"note": "a test"}).status_code == 204
    who = "api testclient"
    assert done == [(who, 5, False), (who, 5, True), (who, 5, "a test")]


@pytest.mark.parametrize("body", [{}, {"note": ""}, {"note": " "}, {"note": "x" * 201}, {"note": 1}])
def test_a_dismissal_needs_a_note(door: Door, body: dict[str, Any]):
    assert door.ask("POST", f"{LETTER}5/dismiss", body).status_code == 422


def test_without_a_broker_nothing_is_replayed(door: Door):
    answer = door.ask("POST", f"{LETTER}5/replay")
    assert (answer.status_code, answer.json()["code"]) == (503, "kafka_unavailable")
