"""A worker that is paused until it has been replaced, and then wakes, does no harm."""

from saga_app.durable.fatal import Exit
from tests.live.log import until
from tests.live.orders import orders, supplies
from tests.live.scene import TABLES, Scene


def test_a_zombie_writes_and_publishes_nothing(scene: Scene) -> None:
    """Paused under load for longer than its session, it ends by itself or joins again without a word in between."""
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

    records, rows, joined = scene.log.inboxes(), scene.log.rows(TABLES), zombie.assignments
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
    assert scene.log.inboxes() == records, "the zombie published"
    assert scene.log.rows(TABLES) == rows, "the zombie wrote rows"

    for worker in (zombie, other):
        if worker.alive:
            assert worker.end() == 0
    scene.worker("third").start().ready()
    scene.prove()
