"""Inboxes that retention has cut: audits go on from their checkpoint, and no worker skips a record in silence."""

import json
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from harness.log import Place
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.audit.checkpoints.folder import latest
from saga_app.engine.exits import Exit
from tests.live.commands import CommandResult, invariants, saga

pytestmark = pytest.mark.slow("several audits, and workers whose topics were cut")


def cut(scene: Scene, offsets: dict[Place, int]) -> None:
    """Deletes the records of the inboxes below these offsets, as retention does."""
    places = [TopicPartition(*place, offset) for place, offset in offsets.items() if offset]
    admin = AdminClient({"bootstrap.servers": scene.broker, "log_level": 3})
    for future in admin.delete_records(places).values():
        future.result(20)


def known(folder: Path) -> dict[Place, int]:
    """How far the checkpoint knows the inboxes."""
    checkpoint = latest(folder)
    assert checkpoint is not None
    return {place: offset for place, offset in checkpoint.known.items() if place[0] in topics.INBOXES}


def without_checkpoint_lines(done: CommandResult) -> CommandResult:
    """The lines about invariants."""
    lines = [line for line in done.out.splitlines() if "invariant" in json.loads(line)]
    return done._replace(out="\n".join(lines))


def test_an_audit_from_its_checkpoint_holds_where_the_inboxes_were_cut(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "audits"
    audit = ("audit", "--json", "--checkpoint", str(folder))
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    placed = scene.feed(orders(300, prefix="old"), until_ended=300)
    scene.log.wait_until_quiet()
    placed += scene.feed(orders(100, prefix="under-way"), until_ended=1)
    first = saga(scene, *audit)
    assert first.code == 0, first
    scene.endings.wait_for(placed, 60)
    scene.log.wait_until_quiet()

    cut(scene, known(folder))
    worker.kill()
    worker.lose_disk()
    worker.start().ready()
    placed += scene.feed(orders(100, prefix="new"), until_ended=100)
    scene.log.wait_until_quiet()
    worker.end()

    done = saga(scene, *audit, "--data-dir", str(worker.data))
    assert done.code == 0, done
    assert json.loads(done.out.splitlines()[0])["audits"] == 1
    assert json.loads(done.out.splitlines()[-1])["checkpoint"].endswith("checkpoint-000002")
    found = invariants(without_checkpoint_lines(done))
    assert all(each["holds"] and not each["unchecked"] for each in found.values())
    assert found["I3"]["figures"]["COMPLETED"] + found["I3"]["figures"]["CANCELLED"] == placed
    assert found["I7"]["figures"]["rows"] == found["I7"]["figures"]["rows in stores"]

    less = saga(scene, "audit", "--json")
    assert less.code == 0, less
    assert invariants(less)["I7"]["unchecked"] and invariants(less)["I6"]["unchecked"]
    assert "not all is told" in saga(scene, "history", "old-20").out
    assert (
        "told from the checkpoint's end" in saga(scene, "history", "old-20", "--checkpoint", str(folder)).out
    )


def test_a_worker_whose_records_were_cut_ends_and_says_which(scene: Scene) -> None:
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    scene.feed(orders(50), until_ended=50)
    scene.log.wait_until_quiet()
    worker.end()
    taken = scene.log.committed()
    scene.shop.send(orders(50, prefix="unseen"))
    (place, end) = max(scene.log.ends(taken).items(), key=lambda each: each[1] - taken[each[0]])
    assert end > taken[place]
    cut(scene, {place: end})
    assert worker.start().wait_for_end(60) == Exit.RECORDS_CUT
    assert (
        f"{place[0]}[{place[1]}] must be read from offset {taken[place]} on, but it begins at {end}"
        in worker.last_words()
    )
