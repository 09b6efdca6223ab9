"""Every record that cannot be read or breaks a rule becomes one dead letter, and its neighbours are not delayed."""

import json
from collections import Counter
from typing import Any, NamedTuple

from saga_app import topics, wire
from tests.live.ledger import letter_of
from tests.live.log import until
from tests.live.orders import Sent
from tests.live.scene import Scene

#: Seconds from the placing of a good order to its end, at most, on a machine that does other things too.
PROMPTLY = 15.0


class Bad(NamedTuple):
    """A record that must be refused, and the reason."""

    reason: str
    value: bytes | None


def text(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


#: Refused in every inbox.
EVERYWHERE = [
    Bad("unreadable", None),
    Bad("unreadable", b""),
    Bad("unreadable", b"hello"),
    Bad("unreadable", b'{"order_id": "x", "amount": 1'),
    Bad("unreadable", b"\xff\xfe\x00{"),
    Bad("unreadable", b'{"order_id": "x", "amount": NaN}'),
    Bad("unreadable", b'{"order_id": "x", "order_id": "y", "amount": 1}'),
    Bad("unreadable", b"[" * 50_000),
    Bad("invalid", b"[1, 2]"),
    Bad("invalid", b'"OrderPlaced"'),
    Bad("invalid", text(type="OrderEaten", order_id="x")),
    Bad("invalid", text(type=["OrderPlaced"], order_id="x")),
    Bad("invalid", text(type="PaymentRequested")),
    Bad("invalid", text(type="RefundRequested", reason="whim", step="payment", order={"order_id": "x"})),
    Bad("too_large", text(order_id="x", amount=1, note="." * 300_000)),
]
ORDER: Sent = {"order_id": "x", "currency": "GBP", "amount": "1.00", "warehouse": "main", "lines": []}
#: Refused in one inbox.
HERE = {
    topics.CHECKOUT: [
        Bad("invalid", text(order_id="x")),
        Bad("invalid", text(order_id="x", amount=-1)),
        Bad("invalid", text(order_id="x", amount="1.001")),
        Bad("invalid", text(order_id="x", amount=True)),
        Bad("invalid", text(order_id="x y", amount=1)),
        Bad("invalid", text(order_id="x", amount=1, discount=1)),
        Bad("invalid", text(order_id="x", amount=1, currency="XXX")),
        Bad("invalid", text(order_id="x", lines=[{"sku": "A", "quantity": 0, "unit_price": "1"}])),
        Bad("card_number", text(type="CancellationRequested", order_id="x", note="card 4111 1111 1111 1111")),
        Bad("different_content", text(order_id="good-0", amount=2)),
        Bad("unknown_order", text(type="CancellationRequested", order_id="nobody")),
        Bad("unknown_order", text(type="OrderCompleted", order_id="nobody")),
        Bad("unexpected_record", text(type="FundsDeposited", deposit_id="d", customer_id="c", amount="1")),
    ],
    topics.PAYMENT: [
        Bad("invalid", text(type="FundsDeposited", deposit_id="d", customer_id="c", amount="0")),
        Bad("invalid", text(type="PolicyChanged", policy_id="p")),
        Bad("invalid", text(type="PaymentRequested", order={**ORDER, "amount": "1.0"})),
        Bad("unexpected_record", text(order_id="x", amount=1)),
    ],
    topics.INVENTORY: [
        Bad("invalid", text(type="StockReceived", delivery_id="d", lines=[])),
        Bad("invalid", text(type="StockReceived", delivery_id="d", lines=[{"sku": "A", "quantity": -1}])),
        Bad("unexpected_record", text(type="PolicyChanged", policy_id="p", limit="1")),
        Bad("unexpected_record", text(type="ShipmentRequested", order=ORDER)),
    ],
    topics.SHIPPING: [
        Bad("invalid", text(type="PolicyChanged", policy_id="p", countries=["UK"])),
        Bad("invalid", text(type="ShipmentRequested", order={**ORDER, "lines": None})),
        Bad("unexpected_record", text(type="PaymentRequested", order=ORDER)),
    ],
}


def test_bad_records_among_good_ones_are_one_dead_letter_each(scene: Scene) -> None:
    """In all four inboxes, with reason, place and the bytes as they were; good orders between them end promptly."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send({"order_id": f"good-{each}", "amount": 1} for each in range(5))
    bad = [(topic, each) for topic, own in HERE.items() for each in (*EVERYWHERE, *own)]
    for number, (topic, each) in enumerate(bad, 5):
        key = key_of(each)
        scene.shop.raw(topic, each.value, key, headers=[("from", b"a test")])
        scene.shop.send([{"order_id": f"good-{number}", "amount": 1}])
    # One of the bad records says of an order that nobody placed that it completed.
    good, seen = {f"good-{each}" for each in range(len(bad) + 5)}, scene.endings
    until(lambda: seen.poll(0.05) > len(good), 60, lambda: f"open: {good - seen.ended.keys()}")
    slowest = max(seen.ended_at[each] - seen.placed_at[each] for each in good)
    assert slowest < PROMPTLY * 1000
    scene.log.wait_until_quiet()
    letters = scene.ledger().letters
    ledger = scene.prove(dead_letters=len(bad))
    assert worker.alive
    assert Counter(map(letter_of, letters)) == Counter(set(ledger.dead)), "not exactly one letter each"
    assert Counter((each.topic, each.reason) for each in ledger.dead) == Counter(
        (topic, each.reason) for topic, each in bad
    )
    originals = {
        (name, m.partition(), m.offset()): m for name in topics.INBOXES for m in ledger.inboxes[name]
    }
    for letter in letters:
        original = originals[letter_of(letter)[:3]]
        assert letter.key() == original.key() and ("from", b"a test") in letter.headers()
        assert letter.value() == wire.harmless(original.value())


def key_of(bad: Bad) -> bytes:
    """The right key where the rule of the record, and not its form, refuses it."""
    for order in (b"good-0", b"nobody"):
        if bad.value and order in bad.value:
            return order
    return b"x"
