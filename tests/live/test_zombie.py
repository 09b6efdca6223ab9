"""A worker that is paused until it has been replaced, and then wakes, does no harm."""

import pytest

from harness.log import everything, until
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.engine.exits import Exit


def published(scene: Scene) -> set[tuple[str, int, bytes, bytes]]:
    """Topic, partition, key and value of every record in the inboxes."""
    return {
        (topic, record.partition(), record.key(), record.value())
        for topic in topics.INBOXES
        for record in everything(scene.log.broker, topic, scene.log.partitions)
    }


@pytest.mark.promise("a zombie")
def test_a_zombie_says_nothing_that_was_not_said(scene: Scene) -> None:
    """Paused under load for longer than its session, it ends by itself or joins again, and has no word of its own.

    The lease keeps it silent but for what the pause may have caught behind the lease's last look, on its way into the
    socket. Its successor has said the same, byte for byte. Rows that it wrote late are older versions at most.
    """
    zombie, other = scene.worker("zombie").start(), scene.worker("other").start()
    zombie.ready(), other.ready()
    scene.shop.send(supplies())
    placed = scene.feed(orders(1_500), until_ended=100)
    assert zombie.assignments and other.assignments
    zombie.pause()
    under_way, assignments = scene.under_way(), other.assignments
    assert under_way > 0
    other.ready(count=assignments + 1)
    scene.endings.wait_for(placed, 60)
    scene.log.wait_until_quiet()

    said, joined = published(scene), zombie.assignments
    zombie.wake()
    until(
        lambda: not zombie.alive or zombie.assignments > joined,
        40,
        lambda: f"the zombie neither ended nor joined again: {zombie.text()[-3000:]}",
    )
    if not zombie.alive:
        # A round that had sent something sees it given up: the delivery timeout is over when it wakes.
        assert zombie.code in (Exit.LEASE_LOST, Exit.ROUND_FAILED) and zombie.last_words(), zombie.text()[
            -3000:
        ]
    assert published(scene) == said, "the zombie published something new"

    for worker in (zombie, other):
        if worker.alive:
            assert worker.end() == 0
    scene.worker("third").start().ready()
    scene.prove()
