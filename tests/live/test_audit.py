"""`saga audit` and `saga history` on a real broker, while workers work and after they have stopped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Producer

from saga_app import topics, wire
from tests.live.orders import orders, supplies
from tests.live.scene import Scene
from tests.live.worker import ROOT, environment, free_port
from tests.support.examples import order, release

SAGA = str(Path(sys.executable).with_name("saga"))


class Done(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    error: str


def start(scene: Scene, *words: str) -> "subprocess.Popen[str]":
    """Starts one command, as people type it."""
    settings = environment(scene.broker, scene.folder / "nothing", free_port(), SAGA_APP_ID=scene.app_id)
    pipe = subprocess.PIPE
    return subprocess.Popen([SAGA, *words], env=settings, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def saga(scene: Scene, *words: str) -> Done:
    """One command and its end."""
    process = start(scene, *words)
    out, error = process.communicate(timeout=120)
    return Done(process.returncode, out, error)


def invariants(done: Done) -> dict[str, Any]:
    return {line["invariant"]: line for line in map(json.loads, done.out.splitlines())}


def test_an_audit_holds_while_a_worker_works_and_after_it_stopped(scene: Scene) -> None:
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    scene.feed(orders(1_000), until_ended=100)
    during = start(scene, "audit", "--json")
    placed = 1_000 + scene.pump(lambda: during.poll() is not None, "meanwhile", 120)
    assert during.returncode == 0, during.communicate()

    scene.endings.wait_for(placed, 120)
    scene.log.wait_until_quiet()
    worker.end()
    after = saga(scene, "audit", "--json", "--data-dir", str(worker.data))
    found = invariants(after)
    assert after.code == 0, after
    assert all(each["holds"] for each in found.values())
    assert found["I3"]["figures"]["COMPLETED"] + found["I3"]["figures"]["CANCELLED"] == placed
    assert found["I7"]["figures"]["rows"] == found["I7"]["figures"]["rows in stores"]
    assert found["I9"]["figures"]["lag"] == 0

    told = saga(scene, "history", "o-20").out
    assert "placed" in told and "shipping refused: undeliverable" in told and "CANCELLED" in told


def test_a_forged_record_breaks_the_audit_which_names_it(scene: Scene) -> None:
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    scene.feed(orders(20), until_ended=20)
    producer = Producer({"bootstrap.servers": scene.broker, "partitioner": "murmur2_random"})
    producer.produce(
        topics.INVENTORY, wire.encode(release(order("forged", lines=[("SKU-0001", 1)]))), b"main"
    )
    producer.flush(10)
    scene.log.wait_until_quiet()
    worker.end()
    done = saga(scene, "audit", "--json")
    (breach,) = invariants(done)["I6"]["breaches"]
    assert done.code == 1
    assert (breach["order"], breach["topic"]) == ("forged", topics.INVENTORY)


def test_without_topics_an_audit_says_what_is_missing(scene: Scene) -> None:
    scene.app_id = "another"
    done = saga(scene, "audit")
    assert done.code == 1
    assert "another-orders-changelog" in done.error and "`saga topics`" in done.error
