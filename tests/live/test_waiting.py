"""`saga place --wait`, `saga cancel --wait` and `saga try`, on a real broker with a real worker."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.orders import supplies
from harness.scene import TABLES, Scene
from harness.worker import WorkerProcess
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.settings import Settings
from tests.live.commands import CommandResult, saga
from tests.support.blocks import documented_keys

GOOD = '{"order_id": "good", "customer_id": "ada", "amount": "20.00"}'
DEAR = '{"order_id": "dear", "amount": "5000.00"}'


@pytest.fixture
def worker(scene: Scene) -> WorkerProcess:
    scene.shop.send(supplies())
    worker = scene.worker("w1").start()
    scene.log.wait_until_quiet()
    return worker


def objects(result: CommandResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.out.splitlines()]


def ends(scene: Scene) -> dict[Any, int]:
    """Where every topic ends."""
    settings = Settings(broker=scene.broker, app_id=scene.app_id)
    names = ["checkout_events", "payment_events", "inventory_events", "shipping_events", "dead_letters"]
    names += [f"{scene.app_id}-{table}-changelog" for table in TABLES]
    places = [(name, each) for name in names for each in range(settings.partitions)]
    return dict(offsets.ends(Admin(settings), places))


def test_waiting_ends_with_the_exit_code_of_the_ending(
    scene: Scene, worker: WorkerProcess, tmp_path: Path
) -> None:
    """No order database runs: the endings come from the topics."""
    completed = saga(scene, "place", GOOD, "--wait")
    assert completed.code == 0 and "order good completed" in completed.out.splitlines(), completed
    cancelled = saga(scene, "place", DEAR, "--wait", "-o", "json")
    assert cancelled.code == 3, cancelled
    assert objects(cancelled)[1] == {
        "order_id": "dear",
        "status": "CANCELLED",
        "reason": "over_limit",
        "words": "cancelled: over the payment limit",
    }
    assert objects(cancelled)[1].keys() == documented_keys("`saga place --wait`, `saga cancel --wait`")
    again = saga(scene, "place", GOOD, "--wait")
    assert again.code == 0 and "order good completed" in again.out, "it had ended before"
    other = saga(scene, "place", GOOD.replace("20.00", "21.00"), "--wait")
    assert other.code == 1 and "the record of order good is a dead letter, different_content" in other.error
    late = saga(scene, "cancel", "good", "--wait")
    assert late.code == 0 and "order good completed" in late.out, "it is too late to cancel it"
    early = saga(scene, "cancel", "early")
    assert early.code == 0, early
    met = saga(scene, "place", GOOD.replace("good", "early"), "--wait")
    assert met.code == 3 and "order early cancelled: on request" in met.out, "the cancellation overtook it"
    file = tmp_path / "orders.json"
    file.write_text(f"[{GOOD.replace('good', 'g2')},\n {DEAR.replace('dear', 'd2')}]")
    many = saga(scene, "place", "--file", str(file), "--wait")
    assert many.code == 3 and {"order g2 completed", "order d2 cancelled: over the payment limit"} <= set(
        many.out.splitlines()
    )


def test_a_wait_that_is_over_says_why_and_has_an_exit_code_of_its_own(scene: Scene) -> None:
    done = saga(scene, "place", GOOD, "--wait", "--timeout", "0.5")
    assert done.code == 4, done
    assert "order good has not ended in 0.5 s: no worker has taken checkout_events:" in done.error
    assert saga(scene, "place", GOOD, "--timeout", "1").code == 2, "there is nothing to wait for"


def test_an_order_becomes_what_a_trial_has_told_and_a_trial_writes_nothing(
    scene: Scene, worker: WorkerProcess, tmp_path: Path
) -> None:
    assert saga(scene, "receive", "MUG:3").code == 0 and saga(scene, "deposit", "ada", "50").code == 0
    scene.log.wait_until_quiet()
    shop = {"customer_id": "ada", "country": "GB"}
    written = [
        {"order_id": "t1", **shop, "lines": [{"sku": "MUG", "quantity": 2, "unit_price": 10}]},
        {"order_id": "t2", **shop, "lines": [{"sku": "MUG", "quantity": 2, "unit_price": 10}]},
        {"order_id": "t3", **shop, "amount": 40},
        {
            "order_id": "t4",
            **shop,
            "country": "NZ",
            "lines": [{"sku": "MUG", "quantity": 1, "unit_price": 1}],
        },
        {"order_id": "t5", "amount": 5000},
        {"order_id": "t1", "amount": 1},
    ]
    file = tmp_path / "orders.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in written))
    before = ends(scene)
    tried = saga(scene, "try", str(file), "-o", "json")
    assert tried.code == 1, tried
    told = objects(tried)
    assert ends(scene) == before, "nothing was sent"
    assert told[0].keys() == documented_keys("`saga try`")
    assert [each["outcome"] for each in told] == [
        "completed",
        "cancelled",
        "cancelled",
        "cancelled",
        "cancelled",
        "dead_letter",
    ]
    assert [each["reason"] for each in told][1:5] == [
        "out_of_stock",
        "insufficient_funds",
        "undeliverable",
        "over_limit",
    ]
    codes = {"completed": 0, "cancelled": 3, "dead_letter": 1}
    for order, each in zip(written, told, strict=True):
        placed = saga(scene, "place", json.dumps(order), "--wait", "-o", "json")
        assert placed.code == codes[each["outcome"]], (each, placed)
        if each["outcome"] != "dead_letter":
            assert objects(placed)[1]["reason"] == each["reason"]
            assert saga(scene, "try", json.dumps(order)).out.startswith(
                f"{each['order_id']}  was placed before"
            )


def test_a_trial_decides_what_waits_before_the_order(scene: Scene, worker: WorkerProcess) -> None:
    """The tables do not have it yet: it is decided on the copy first, as a new owner would."""
    worker.end()
    assert saga(scene, "receive", "CUP:1").code == 0
    order = {"order_id": "t9", "country": "GB", "lines": [{"sku": "CUP", "quantity": 1, "unit_price": 1}]}
    told = saga(scene, "try", json.dumps(order))
    assert (told.code, told.out.splitlines()[0]) == (0, "t9  would be completed"), told


def test_what_is_no_order_is_named_and_nothing_is_read(scene: Scene) -> None:
    wrong = saga(scene, "try", '{"order_id": "x"}', SAGA_BROKER="127.0.0.1:1")
    assert wrong.code == 2 and "line 1: invalid: amount is required" in wrong.error
    assert "No such file" in saga(scene, "try", "nowhere.json").error
