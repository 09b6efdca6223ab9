"""`saga refund` and its page, on a real broker with a real worker, and the audit afterwards."""

import json
import shlex

import pytest

from harness.scene import Scene
from harness.worker import WorkerProcess
from saga_app import topics, wire
from saga_app.core.records import RefundOpened
from tests.live.commands import invariants, saga
from tests.support.blocks import blocks, documented_keys


@pytest.fixture
def worker(scene: Scene) -> WorkerProcess:
    """Two orders of a customer with an account have completed."""
    scene.shop.send(
        [
            {
                "type": "StockReceived",
                "delivery_id": "d",
                "warehouse": "main",
                "lines": [{"sku": "MUG", "quantity": 9}],
            }
        ]
    )
    scene.shop.send([{"type": "FundsDeposited", "deposit_id": "d", "customer_id": "ada", "amount": "100.00"}])
    worker = scene.worker("w1").start()
    mugs = [{"sku": "MUG", "quantity": 2, "unit_price": "12.50"}]
    scene.shop.send(
        {"type": "OrderPlaced", "order_id": each, "customer_id": "ada", "lines": mugs}
        for each in ("shop-1", "shop-2")
    )
    scene.log.wait_until_quiet()
    return worker


def test_the_page_is_followed_and_every_refund_is_whole(scene: Scene, worker: WorkerProcess) -> None:
    for line in (line for block in blocks("docs/how-to/refunds.md") for line in block.splitlines()):
        program, *words = shlex.split(line)
        if program == "saga":
            done = saga(scene, *words)
            assert done.code == 0, (line, done)
        else:
            record = wire.decode(words[-1].encode())
            assert isinstance(record, RefundOpened) and topics.topic_of(record) == words[-2]
            scene.shop.send([json.loads(words[-1])])
    scene.log.wait_until_quiet()
    told = saga(scene, "history", "shop-2")
    for part in (
        "refund return-17 opened: 12.50 GBP, 1 line to restock",
        "refund return-17: gave back 12.50 GBP (ada:GBP +12.50)",
        "refund return-17: restocked (main:MUG +1)",
        "refund return-17 completed",
        "refund late completed",
    ):
        assert part in told.out, told.out
    refused = saga(scene, "refund", "shop-2", "--amount", "11.51", "--id", "r9", "--wait", "-o", "json")
    assert refused.code == 3, refused
    ending = json.loads(refused.out.splitlines()[1])
    assert ending == {
        "order_id": "shop-2",
        "refund_id": "r9",
        "status": "REFUSED",
        "reason": "more_than_paid",
        "words": "refused: more than is left of the payment",
    }
    assert ending.keys() == documented_keys("`saga refund --wait`")
    again = saga(scene, "refund", "shop-1", "--id", "r1", "--wait")
    assert again.code == 3 and "nothing is left to give back" in again.out, again
    nobody = saga(scene, "refund", "nobody", "--wait")
    assert nobody.code == 1 and "dead letter, unknown_order" in nobody.error
    worker.kill()
    audited = saga(scene, "audit", "--json")
    assert audited.code == 0, audited
    found = invariants(audited)
    assert found["I1"]["figures"]["GBP left"] == "88.50"
    assert found["I4"]["figures"]["refunds completed"] == 3
