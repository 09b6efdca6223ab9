"""Every record that cannot be read or breaks a rule becomes one dead letter, and its neighbours are not delayed."""

import json
from collections import Counter
from typing import Any, NamedTuple

import pytest

from harness.ledger import letter_of
from harness.log import until
from harness.orders import Sent
from harness.scene import Scene
from saga_app import topics, wire
from saga_app.core.errors import Fault
from saga_app.dead_letters.format import MOST_BRIEF_BYTES, longest_value
from saga_app.kafka.headers import SENT_ON
from tests.support.corpus import IN_INBOX

#: Seconds from the placing of a good order to its end, at most, on a machine that does other things too.
PROMPTLY = 15.0
#: Bad records between two good orders.
BETWEEN = 20

GOOD: Sent = {"order_id": "good-0", "amount": 1}
#: What the payment, inventory and shipping services know of it.
ORDER: Sent = {"order_id": "good-0", "currency": "GBP", "amount": "1.00", "warehouse": "main", "lines": []}
OTHER: Sent = {**ORDER, "amount": "2.00"}
DEPOSIT: Sent = {"type": "FundsDeposited", "deposit_id": "d", "customer_id": "c", "amount": "5"}
DELIVERY: Sent = {"type": "StockReceived", "delivery_id": "d", "lines": [{"sku": "A", "quantity": 5}]}


class RefusedRecord(NamedTuple):
    """A record that one inbox must refuse for what its tables hold: the reason, and the key that it belongs to."""

    topic: str
    reason: str
    key: str
    fields: Sent
    #: It was sent on once, and stands in the wrong partition again.
    is_misrouted: bool = False


OF_THE_STATE = [
    RefusedRecord(topics.CHECKOUT, "different_content", "good-0", {**GOOD, "amount": 2}),
    RefusedRecord(topics.CHECKOUT, "different_content", "good-0", {**GOOD, "country": "GB"}),
    RefusedRecord(
        topics.CHECKOUT, "unknown_order", "nobody", {"type": "OrderCompleted", "order_id": "nobody"}
    ),
    RefusedRecord(
        topics.CHECKOUT,
        "wrong_partition",
        "misrouted_record",
        {"order_id": "misrouted_record", "amount": 1},
        True,
    ),
    RefusedRecord(topics.PAYMENT, "different_content", "c", {**DEPOSIT, "amount": "6"}),
    RefusedRecord(
        topics.PAYMENT, "different_content", "good-0", {"type": "PaymentRequested", "order": OTHER}
    ),
    RefusedRecord(
        topics.PAYMENT,
        "wrong_partition",
        "misrouted_record",
        {**DEPOSIT, "customer_id": "misrouted_record"},
        True,
    ),
    RefusedRecord(
        topics.INVENTORY, "different_content", "main", {**DELIVERY, "lines": [{"sku": "A", "quantity": 6}]}
    ),
    RefusedRecord(
        topics.INVENTORY, "different_content", "good-0", {"type": "ReservationRequested", "order": OTHER}
    ),
    RefusedRecord(
        topics.INVENTORY,
        "wrong_partition",
        "misrouted_record",
        {**DELIVERY, "warehouse": "misrouted_record"},
        True,
    ),
    RefusedRecord(
        topics.SHIPPING, "different_content", "good-0", {"type": "ShipmentRequested", "order": OTHER}
    ),
    RefusedRecord(
        topics.SHIPPING, "wrong_partition", "good-0", {"type": "ShipmentRequested", "order": ORDER}, True
    ),
]


def send_bad(scene: Scene) -> Counter[tuple[str, str]]:
    """Every kind of bad record to every inbox, and a good order now and then; how many letters are due, and why."""
    due: Counter[tuple[str, str]] = Counter()
    sent = 0

    def send(topic: str, reason: str, value: bytes | None, key: bytes | None, **options: Any) -> None:
        nonlocal sent
        headers = [("from", b"a test"), *options.pop("headers", ())]
        scene.shop.raw(topic, value, key, headers=headers, **options)
        due[topic, reason] += 1
        sent += 1
        if sent % BETWEEN == 0:
            scene.shop.send([{"order_id": f"good-{sent}", "amount": 1}])

    for kinds in zip(*IN_INBOX.values(), strict=False):
        for topic, bad in zip(IN_INBOX, kinds, strict=True):
            send(topic, bad.fault, bad.value, b"k" if sent % 2 else None)
    for topic, bads in IN_INBOX.items():
        for bad in bads[min(map(len, IN_INBOX.values())) :]:
            send(topic, bad.fault, bad.value, b"k")
    for each in OF_THE_STATE:
        right = topics.partition_of(each.key, topics.DEFAULT_PARTITIONS)
        place = {"partition": (right + each.is_misrouted) % topics.DEFAULT_PARTITIONS}
        headers = [(SENT_ON, b"1")] if each.is_misrouted else []
        value = json.dumps(each.fields).encode()
        send(each.topic, each.reason, value, each.key.encode(), headers=headers, **place)
    scene.shop.flush()
    return due


@pytest.mark.promise("dead letters")
def test_bad_records_among_good_ones_are_one_dead_letter_each(scene: Scene) -> None:
    """In all four inboxes, with reason, place and the bytes as they were; good orders between them end promptly."""
    worker = scene.worker("w1").start().ready()
    scene.feed([GOOD, DEPOSIT, DELIVERY], until_ended=1)
    scene.log.wait_until_quiet()
    due = send_bad(scene)
    good, seen = (
        {"good-0"} | {f"good-{each}" for each in range(BETWEEN, due.total() + 1, BETWEEN)},
        scene.endings,
    )
    until(
        lambda: seen.poll(0.05) > 0 and good <= seen.ended.keys(),
        60,
        lambda: f"open: {good - seen.ended.keys()}",
    )
    slowest = max(seen.ended_at[each] - seen.placed_at[each] for each in good)
    print(f"{due.total()} bad records, {len(good)} good orders, the slowest took {slowest} ms")
    assert slowest < PROMPTLY * 1000
    scene.log.wait_until_quiet()
    letters = scene.ledger().letters
    ledger = scene.prove(dead_letters=due.total())
    assert worker.alive
    assert Counter(map(letter_of, letters)) == Counter(set(ledger.dead)), "not exactly one letter each"
    assert Counter((each.topic, each.reason) for each in ledger.dead) == due
    originals = {
        (name, m.partition(), m.offset()): m for name in topics.INBOXES for m in ledger.inboxes[name]
    }
    for letter in letters:
        original = originals[letter_of(letter)[:3]]
        assert letter.key() == original.key() and ("from", b"a test") in letter.headers()
        value, most = original.value(), longest_value(Fault(letter_of(letter).reason))
        # Beyond the bytes of a minute a letter keeps less.
        briefly = wire.harmless(value, MOST_BRIEF_BYTES)
        assert letter.value() in (wire.harmless(value, most), briefly)
