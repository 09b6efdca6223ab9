"""A worker logs ids of orders at any level, and never the fields that people wrote."""

import json

import pytest

from harness.orders import supplies
from harness.scene import Scene
from saga_app import topics

pytestmark = pytest.mark.slow("a worker that logs all there is")


#: Each is in a record of its own below: in one that is applied, or in a dead letter.
SECRETS = (
    "221B Baker Street",
    "tok_live_51H8",
    "leave it with the neighbour",
    "4111 1111 1111 1111",
    "s3cret",
)


def test_nothing_that_people_write_into_an_order_is_logged_even_when_debugging(scene: Scene) -> None:
    """And a line about an order has its id in a field of its own."""
    address, token, note, card, password = SECRETS
    worker = scene.worker("w1", SAGA_LOG="json")
    worker.level = "debug"
    worker.start().ready()
    scene.shop.send(supplies())
    placed = {"order_id": "private", "amount": "5"}
    cancelled = {"type": "CancellationRequested", "order_id": "private", "note": note}
    scene.shop.send([placed])
    scene.endings.wait_for(1, 60)
    # Too late: that is logged.
    scene.shop.send([cancelled])
    for more in ({"address": address}, {"card_token": token}, {"country": card}, {"currency": password}):
        scene.shop.raw(topics.CHECKOUT, json.dumps({**placed, **more}).encode(), b"private")
    scene.shop.raw(topics.CHECKOUT, f"no JSON: {address} {token}".encode(), b"private")
    scene.shop.raw(topics.PAYMENT, json.dumps({"type": token, "order": address}).encode(), password.encode())
    scene.shop.raw(topics.CHECKOUT, json.dumps(placed).encode(), headers=[("authorization", token.encode())])
    scene.shop.flush()
    scene.log.wait_until_quiet()
    scene.ledger().check(dead_letters=6)
    lines = [json.loads(line) for line in worker.text().splitlines() if line.startswith("{")]
    assert {line["level"] for line in lines} >= {"DEBUG", "INFO"}
    (told,) = [line for line in lines if "too late to cancel" in line["message"]]
    assert told["order_id"] == "private"
    assert [secret for secret in SECRETS if secret in worker.text()] == []
