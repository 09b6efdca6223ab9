"""`saga audit` and `saga history` on a real broker, while workers work and after they have stopped."""

from pathlib import Path

import pytest
from confluent_kafka import Producer

from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics, wire
from tests.live.commands import invariants, saga, start
from tests.support.examples import order, release


@pytest.mark.slow("thousands of orders, audited twice")
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
    assert "placed" in told and "shipping refused: the country is not served" in told and "cancelled" in told


@pytest.mark.promise("an audit")
def test_a_forged_record_breaks_the_audit_which_names_it(scene: Scene, tmp_path: Path) -> None:
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
    file = str(tmp_path / "acknowledged.jsonl")
    proposed = saga(scene, "repair")
    assert proposed.code == 1 and "saga history forged" in proposed.out, proposed
    ids = [each["id"] for line in invariants(done).values() for each in line["breaches"]]
    words = [word for name in ids for word in ("--acknowledge", name)]
    assert saga(scene, "audit", *words).code == 2, "no reason, and no file to keep it in"
    done = saga(scene, "audit", *words, "--acknowledged", file, "--why", "a test", SAGA_ACTOR="ada")
    assert done.code == 0 and f"[{breach['id']}]; by ada at " in done.out, done
    assert len(Path(file).read_text("utf-8").splitlines()) == len(ids)


def test_without_topics_an_audit_names_the_missing_ones(scene: Scene) -> None:
    scene.app_id = "another"
    done = saga(scene, "audit")
    assert done.code == 1
    assert "another-orders-changelog" in done.error and "`saga topics`" in done.error
