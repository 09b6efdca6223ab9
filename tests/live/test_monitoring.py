"""Metrics and readiness of real workers agree with what happened."""

import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.log import until
from harness.orders import orders, supplies
from harness.scene import Scene
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.local.broker import Broker
from saga_app.monitoring.health import STATES
from saga_app.times import now


def measured(worker: WorkerProcess) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    status, text = worker.get("/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ready(worker: WorkerProcess) -> dict[str, Any]:
    status, text = worker.get("/readyz")
    found: dict[str, Any] = json.loads(text)
    assert (status == 200) is found["ready"] and found["state"] in STATES
    return found


@pytest.mark.promise("metrics")
def test_metrics_agree_with_the_orders_that_ended(scene: Scene) -> None:
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    placed = scene.shop.send(orders(300))
    scene.shop.raw(topics.CHECKOUT, b"{", b"k")
    scene.endings.wait_for(placed, 60)
    scene.log.wait_until_quiet()
    found = measured(worker)
    outcomes = list(scene.endings.ended.values())
    assert found["saga_orders_ended_total", "completed", ""] == outcomes.count("COMPLETED") > 0
    cancelled = {
        key[2]: value for key, value in found.items() if key[:2] == ("saga_orders_ended_total", "cancelled")
    }
    assert {reason: count for reason, count in cancelled.items() if count} == {
        reason: outcomes.count(reason) for reason in set(outcomes) - {"COMPLETED"}
    }
    assert found["saga_records_total", "checkout", "dead"] == 1
    assert found["saga_steps_total", "shipping", "done"] == outcomes.count("COMPLETED")
    assert found["saga_orders_open",] == found["saga_inbox_lag_records", "checkout"] == 0
    assert found["saga_partitions",] == topics.DEFAULT_PARTITIONS and found["saga_ready",] == 1
    rounds = found["saga_round_duration_seconds_count", "payment"]
    assert rounds == found["saga_round_records_count", "payment"] > 0
    assert found["saga_round_records_sum", "checkout"] >= 2 * placed + 1
    steps = found["saga_step_duration_seconds_count", "shipping"]
    assert steps == found["saga_round_records_sum", "shipping"]
    assert 0 < found["saga_step_duration_seconds_sum", "shipping"] / steps < 60
    assert found["process_cpu_seconds_total",] > 0
    assert 0 <= found["saga_heartbeat_age_seconds",] < 8


@pytest.mark.slow("three workers")
def test_a_worker_is_ready_when_it_works_and_says_why_it_is_not(scene: Scene) -> None:
    worker = scene.worker("w1").start().ready()
    until(lambda: bool(ready(worker)["ready"]), 20, lambda: str(ready(worker)))
    assert ready(worker) == {"ready": True, "state": "ready", "why": "", "partitions": 8}
    told = json.loads(worker.get("/livez")[1])
    assert told["alive"] is True and 0 <= now() - told["started"] < 120_000
    others = [scene.worker(f"w{number}").start() for number in range(2, 4)]
    for each in others:
        each.ready()
    everyone = (worker, *others)
    until(lambda: all(ready(each)["ready"] for each in everyone), 30, lambda: str([*map(ready, everyone)]))
    assert sum(ready(each)["partitions"] for each in everyone) == topics.DEFAULT_PARTITIONS


@pytest.mark.slow("a broker that is frozen for half a minute")
def test_a_worker_whose_broker_is_frozen_is_alive_and_not_ready(scene: Scene, kafka: Broker) -> None:
    """It says what it waits for; and is ready again when the broker is."""
    worker = scene.worker("w1").start().ready()
    until(lambda: bool(ready(worker)["ready"]), 20, lambda: str(ready(worker)))
    # A worker with a round under way would end itself, and its next start would decide the records.
    scene.log.wait_until_quiet()
    kafka.pause()
    try:
        until(lambda: not ready(worker)["ready"], 40, lambda: str(ready(worker)))
        found = ready(worker)
        assert found["state"] in ("stuck", "rebalancing") and "for" in found["why"]
        assert worker.get("/livez")[0] == 200 and measured(worker)["saga_ready",] == 0
    finally:
        kafka.resume()
    until(lambda: bool(ready(worker)["ready"]), 60, lambda: str(ready(worker)))
