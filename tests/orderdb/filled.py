"""The topics of these tests: orders with every kind of ending, and every kind of bad input."""

import json

from confluent_kafka import Producer

from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.dead_letters.format import LetterId, marker

ORDERS = 400
#: A text with which SQL, a terminal, a page or a database could have trouble.
HOSTILE = "Robert'); DROP TABLE orders;-- \x00 \x1b[2J \u202e <script> %s {0} $1 :q ? \U0001f4a3 \\"
#: The same as the name of a header, which cannot hold a NUL.
NAME = HOSTILE.replace("\x00", "")
CARD = "4111 1111 1111 1111"
_BAD = (
    b"\xff\xfe\x00 no text",
    b'{"order_id": "no-amount"}',
    json.dumps({"order_id": "unknown-field", "amount": 1, HOSTILE: 1}).encode(),
    json.dumps({"type": "CancellationRequested", "order_id": "nobody", "note": CARD}).encode(),
    json.dumps({"type": HOSTILE, "order_id": "unknown-type"}).encode(),
    None,
)


def fill(scene: Scene) -> None:
    """A worker does its work and ends."""
    scene.shop.send(supplies())
    scene.shop.policy(topics.PAYMENT, policy_id="limit", limit="2000")
    scene.shop.send(orders(ORDERS))
    worker = scene.worker("w1").start()
    for number, value in enumerate(_BAD):
        scene.shop.raw(topics.CHECKOUT, value, b"bad", headers=[(NAME, f"{number}\x00".encode())])
    scene.endings.wait_for(ORDERS, 90)
    for number in range(0, ORDERS, 40):
        note = {"type": "CancellationRequested", "order_id": f"o-{number}", "note": HOSTILE}
        scene.shop.raw(topics.CHECKOUT, json.dumps(note).encode(), f"o-{number}".encode())
    # The same order again, and once with another content.
    again = next(orders(1))
    scene.shop.send([again, {**again, "country": "FR"}])
    scene.log.wait_until_quiet()
    worker.end()
    _mark(scene)


def _mark(scene: Scene) -> None:
    """Writes a marker, as if somebody had replayed a letter, and a foreign record."""
    producer = Producer({"bootstrap.servers": scene.broker})
    record = marker(LetterId(topics.CHECKOUT, 1, 2), 0, b"{}", [LetterId(topics.CHECKOUT, 1, 900)])
    producer.produce(record.topic, record.value, record.key, 0, headers=list(record.headers))
    producer.produce(topics.DEAD_LETTERS, b"foreign", b"k", 0, headers=[("saga-topic", b"orders; DROP")])
    assert producer.flush(10) == 0
