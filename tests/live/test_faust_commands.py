"""The application is a Faust application: people use it with Faust's own commands and pages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

import agents
import tables
from harness.log import until
from harness.ports import free_port
from harness.scene import TABLES, Scene
from harness.shop import Produced
from harness.worker import WorkerProcess, environment, faust
from saga_app import topics
from saga_app.engine.exits import Exit
from saga_app.kafka import topic_admin
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from saga_app.topics import Topic


@pytest.fixture
def worker(no_topics: Broker, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker on a broker without topics, with the settings that it has when nobody sets any."""
    worker = WorkerProcess(no_topics.address, tmp_path, "w1")
    yield worker
    worker.close()


def page(worker: WorkerProcess, path: str) -> tuple[int, Any]:
    status, body = worker.get(path)
    return status, json.loads(body)


@pytest.mark.promise("plain Faust")
def test_an_order_is_sent_and_followed_with_plain_faust(worker: WorkerProcess, tmp_path: Path) -> None:
    """`faust worker`, `faust send`, `/table/`: 500 completes, 1500 is over the limit; what is unknown is a 404."""
    worker.start().ready()
    assert "created topics" in worker.text()
    there = (
        AdminClient({"bootstrap.servers": worker.environment["SAGA_BROKER"]}).list_topics(timeout=10).topics
    )
    wanted = topics.wanted("saga", TABLES, topics.DEFAULT_PARTITIONS)
    assert {each.name: len(there[each.name].partitions) for each in wanted} == {
        each.name: each.partitions for each in wanted
    }
    scene = Scene(worker.environment["SAGA_BROKER"], tmp_path, "saga")
    scene.workers.append(worker)

    # An inbox is named, or its agent as `faust agents` prints it.
    placed = (
        ("checkout_events", {"order_id": 1, "amount": 500}),
        ("@checkout", {"order_id": 2, "amount": 1500}),
    )
    for entity, order in placed:
        sent = faust("send", entity, json.dumps(order), env=worker.environment)
        assert sent.returncode == 0, sent.stderr
        scene.shop.outbox.append(Produced(topics.CHECKOUT, json.dumps(order).encode(), None, {}))
    scene.endings.wait_for(2, 60)
    scene.log.wait_until_quiet()
    assert scene.endings.ended == {"1": "COMPLETED", "2": "over_limit"}

    for table in TABLES:
        if table not in ("accounts", "stock"):
            status, row = page(worker, f"/table/{table}/1/")
            assert status == 200 and isinstance(row, dict), (table, row)
    assert page(worker, "/table/orders/1/")[1]["status"] == "COMPLETED"
    assert page(worker, "/table/payments/1/")[1]["state"] == "DONE"
    order, payment = page(worker, "/table/orders/2/")[1], page(worker, "/table/payments/2/")[1]
    assert (order["status"], order["reason"], order["step"]) == ("CANCELLED", "over_limit", "payment")
    assert (payment["state"], payment["reason"]) == ("REFUSED", "over_limit")
    assert worker.get("/table/orders/3/")[0] == 404
    assert worker.get("/table/payments/3/")[0] == 404
    for path in ("/table/invoices/1/", "/router/invoices/", "/router/invoices/1/"):
        assert worker.get(path)[0] == 404
    assert worker.get("/router/orders/")[0] == 200
    scene.prove()


def test_agents_and_tables_are_listed_with_their_purpose(tmp_path: Path) -> None:
    """`faust agents` and `faust tables` print our own words, without a broker."""
    env = environment("127.0.0.1:1", tmp_path, free_port(), COLUMNS="300")
    listed, described = faust("agents", env=env), faust("tables", env=env)
    assert listed.returncode == 0 and described.returncode == 0, listed.stderr + described.stderr
    for agent in agents.ALL:
        assert agent.TOPIC in listed.stdout
        assert first_words(agent.listen.__doc__ or "") in " ".join(listed.stdout.split())
    for table in tables.ALL:
        assert table.name in described.stdout
        assert first_words(table.help) in " ".join(described.stdout.split())


def first_words(text: str) -> str:
    return " ".join(text.split()[:4])


def test_a_worker_refuses_topics_with_another_partition_count(worker: WorkerProcess) -> None:
    """The partition of a key depends on the count: it ends at once, and names the topic and both counts."""
    broker = worker.environment["SAGA_BROKER"]
    topic_admin.ensure(Settings(broker=broker), [Topic("payment_events", 3, {})])
    assert worker.start().wait_for_end(60) == Exit.TOPICS_WRONG
    assert "payment_events: 3 partitions, not 8, and no record yet" in worker.last_words()


@pytest.mark.slow("two workers, asked for thirty orders each")
def test_every_worker_answers_for_every_order(scene: Scene) -> None:
    """Of two workers each has half of the rows; both pages show all of them."""
    first, second = scene.worker("first").start(), scene.worker("second").start()
    first.ready(), second.ready()
    scene.shop.send({"order_id": number, "amount": number} for number in range(1, 31))
    scene.endings.wait_for(30, 60)
    scene.log.wait_until_quiet()
    until(lambda: first.assignments > 0 and second.assignments > 0, 30, lambda: "a worker has no partitions")
    for number in range(1, 31):
        pages = [page(each, f"/table/orders/{number}/") for each in (first, second)]
        assert pages[0] == pages[1], number
        assert pages[0][0] == 200 and pages[0][1]["order"]["order_id"] == str(number)
    for each in (first, second):
        assert each.get("/table/orders/31/")[0] == 404
    scene.prove()
