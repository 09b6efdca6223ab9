"""Deadlines for real: lost step requests are nudged, a deadline survives kill -9, and time comes from records alone."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from harness.ledger import TopicLedger
from harness.log import until
from harness.orders import Sent
from harness.process import ROOT
from harness.scene import Scene
from saga_app import topics, wire
from saga_app.core.numbers import Offset
from saga_app.core.records import DeadlinePassed
from saga_app.kafka.commit_notes import GroupHasMembers, commit_offsets
from saga_app.settings import Settings

pytestmark = pytest.mark.slow("a session must expire twice")


HOUR = 3600
#: Python reads this module before any other; it moves the clock of the whole process, as far as Python shows it.
MOVED = """
import os, time
_by = int(os.environ["MOVED_BY"])
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _by
time.time_ns = lambda: _time_ns() + _by * 1_000_000_000
"""


def moved(folder: Path, seconds: int) -> dict[str, str]:
    """The environment of a worker whose clock is wrong by so many seconds."""
    (folder / "sitecustomize.py").write_text(MOVED)
    return {"PYTHONPATH": f"{folder}:{ROOT}", "MOVED_BY": str(seconds)}


def plain_orders(count: int, prefix: str) -> Iterator[Sent]:
    """Orders that find no account and need no stock; payment's partition is another one than checkout's."""
    for number in range(count):
        yield {"order_id": f"{prefix}-{number}", "customer_id": f"c{number * 7}", "amount": "5.00"}


def lose_unread_step_requests(scene: Scene, partitions: Iterable[int]) -> int:
    """Deletes what these partitions of payment's inbox hold, as if it kept records for too short a time; how much."""
    admin = AdminClient({"bootstrap.servers": scene.broker, "log_level": 3})
    ends = scene.log.ends((topics.PAYMENT, each) for each in partitions)
    for deleted in admin.delete_records(
        [TopicPartition(*place, end) for place, end in ends.items()]
    ).values():
        deleted.result()
    return sum(ends.values())


def accept_the_loss(scene: Scene, partitions: Iterable[int]) -> None:
    """Sets what the group has taken behind the deleted records, as people must: a worker would not skip them."""
    ends = scene.log.ends((topics.PAYMENT, each) for each in partitions)
    settings = Settings(broker=scene.broker, app_id=scene.app_id)

    def taken_over() -> bool:
        # The killed workers are members until their session ends.
        with suppress(GroupHasMembers):
            commit_offsets(settings, {place: (Offset(end), "") for place, end in ends.items()})
            return True
        return False

    until(taken_over, 30, lambda: "the group still has members")


def decided(scene: Scene) -> set[int]:
    """Partitions of checkout's inbox of which everything is committed."""
    committed = scene.log.committed()
    ends = scene.log.ends((topics.CHECKOUT, each) for each in range(topics.DEFAULT_PARTITIONS))
    return {place[1] for place, end in ends.items() if end == committed[place]}


def nudged(ledger: TopicLedger) -> list[tuple[str, int]]:
    """The order and the try of each deadline that was sent."""
    records = [wire.decode(message.value()) for message in ledger.inboxes[topics.CHECKOUT]]
    return [(each.order_id, each.attempt) for each in records if isinstance(each, DeadlinePassed)]


def test_orders_whose_step_requests_are_lost_are_nudged_by_successors_whose_clocks_are_wrong(
    scene: Scene, tmp_path: Path
) -> None:
    """One worker decides, the one that should be paid is frozen, the step requests between them are deleted, both
    are killed.

    Of their successors one has a clock an hour ahead, the other an hour behind: no step request is waited for any
    longer than it would have been, and no row shows a wrong time.
    """
    began = time.time() * 1000
    deciding, frozen = scene.worker("deciding").start(), scene.worker("frozen").start()
    deciding.ready(), frozen.ready()
    # Whoever came first has had all partitions for a moment.
    until(lambda: scene.log.is_quiet() and min(each.assignments for each in (deciding, frozen)) > 0, 30, str)
    frozen.pause()
    placed = scene.shop.send(plain_orders(400, "lost"))
    half = topics.DEFAULT_PARTITIONS // 2
    until(lambda: len(decided(scene)) == half, 30, lambda: f"decided are {decided(scene)}")
    undecided = set(range(topics.DEFAULT_PARTITIONS)) - decided(scene)
    lost = lose_unread_step_requests(scene, undecided)
    for worker in (deciding, frozen):
        worker.kill()
    assert lost > 0
    accept_the_loss(scene, undecided)
    for name, hours in (("ahead", 1), ("behind", -1)):
        scene.worker(name, **moved(tmp_path, hours * HOUR)).start()
    placed += scene.shop.send(plain_orders(100, "unharmed"))
    scene.endings.wait_for(placed, 120)
    scene.log.wait_until_quiet()
    ledger = scene.ledger()
    ledger.check()
    assert ledger.statuses() == {"COMPLETED": placed}
    # Nobody but those whose step request was lost was nudged, and each once.
    assert len(set(nudged(ledger))) == len(nudged(ledger)) == lost
    assert {attempt for _, attempt in nudged(ledger)} == {0}
    now = time.time() * 1000
    for row in ledger.orders().values():
        assert began - 5_000 <= row["since"] <= row["ended_at"] <= now + 5_000, row
