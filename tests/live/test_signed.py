"""Signatures on a real broker: forged records are dead letters, work goes on, and the audit holds."""

from pathlib import Path

import pytest

from harness.log import everything
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics, wire
from saga_app.core.numbers import Offset
from saga_app.dead_letters.letter import Letter, read_letter
from saga_app.kafka.headers import SENT_ON, headers_of
from saga_app.kafka.messages import Message
from saga_app.kafka.signatures import Signatures, needs_signature
from saga_app.times import now, written
from tests.live.commands import invariants, saga
from tests.support.examples import countries
from tests.support.signing import INTERNAL, key_file, signatures


@pytest.mark.slow("a worker and four audits")
def test_a_forged_record_of_each_type_is_a_dead_letter_and_the_audit_holds(
    scene: Scene, tmp_path: Path
) -> None:
    settings = {"SAGA_SIGNING_KEYS": str(key_file(tmp_path)), "SAGA_SIGNED_SINCE": written(now())}
    worker = scene.worker("w1", SAGA_ORDER_RETENTION="1d", **settings).start()
    scene.shop.send(supplies())
    scene.shop.policy(topics.PAYMENT, policy_id="p1", limit="500.00")
    for record in INTERNAL:
        topic, key = topics.topic_of(record), topics.key_of(record).encode()
        scene.shop.raw(topic, wire.encode(record), key)
    copy = wire.encode(countries("p2", "FR"))
    scene.shop.raw(topics.SHIPPING, copy, partition=3, headers=[(SENT_ON, b"1")])
    scene.shop.raw(topics.CHECKOUT, b'{"order_id": 1, "amount": 500}')
    scene.feed(orders(20), until_ended=21)
    scene.log.wait_until_quiet()

    forged = len(INTERNAL) + 1
    found = letters(scene)
    assert [each.reason for each in found] == ["not_signed"] * forged
    without = saga(scene, "audit")
    assert (without.code, len(without.error.splitlines())) == (1, 1)
    assert "SAGA_SIGNED_SINCE is not set here" in without.error
    done = saga(scene, "audit", "--json", **settings)
    assert done.code == 0, done
    assert invariants(done)["I8"]["figures"]["dead letters not_signed"] == forged
    must_be_signed(scene, signatures(tmp_path), refused=forged)

    nudge = next(str(each.id) for each in found if b"DeadlinePassed" in (each.value or b""))
    assert "anybody may have written it" in saga(scene, "replay", nudge, **settings).error
    assert saga(scene, "replay", nudge, "--sign", **settings).code == 0
    scene.log.wait_until_quiet()
    assert len(letters(scene)) == forged, "the record that somebody signed is taken"
    worker.end()


def letters(scene: Scene) -> list[Letter]:
    """The dead letters."""
    found = map(read_letter, everything(scene.broker, topics.DEAD_LETTERS, topics.DEFAULT_PARTITIONS))
    return [each for each in found if each is not None]


def must_be_signed(scene: Scene, by: Signatures, refused: int) -> None:
    """Each record that only services send is signed for its place, apart from those that were refused."""
    unsigned = 0
    for topic in topics.INBOXES:
        for each in everything(scene.broker, topic, topics.DEFAULT_PARTITIONS):
            message = Message(
                Offset(each.offset()), each.timestamp()[1], each.key(), each.value(), tuple(headers_of(each))
            )
            if needs_signature(wire.decode(message.value), message):
                unsigned += by.fault(message, topic, each.partition()) is not None
    assert unsigned == refused
