"""Own steps on a real broker: inside, and at a service over HTTP."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.orders import orders, supplies
from harness.ports import free_port
from harness.process import ROOT
from harness.scene import Scene
from tests.live.commands import invariants, saga
from tests.support.own_steps import with_step

ROUTE = "{},payment,inventory,shipping"


@pytest.mark.slow("a worker with a step of a shop's own, and its audit")
def test_orders_are_refused_by_an_own_step_and_undone_through_it_on_a_real_broker(scene: Scene) -> None:
    settings = with_step("fraud_check")
    scene.shop.send(supplies())
    scene.worker("w1", **settings).start().ready()
    done = saga(scene, "policy", "checkout", "--route", ROUTE.format("fraud_check"), **settings)
    assert done.code == 0, done
    scene.log.wait_until_quiet()
    burst = list(orders(60))
    for number in (1, 2):
        burst[number].pop("customer_id")
        burst[number]["lines"] = [{"sku": "SKU-0001", "quantity": number, "unit_price": "400.00"}]
    scene.feed(burst, until_ended=60)
    scene.log.wait_until_quiet()

    audit = saga(scene, "audit", "--json", **settings)
    assert audit.code == 0, audit
    figures = invariants(audit)
    assert figures["I3"]["figures"]["cancelled: declined"] == 1
    told = saga(scene, "history", "o-10", **settings).out
    assert told.index("withdrawn") > told.index("refunded") > told.index("cleared")
    # Who does not know the step says so, and decides nothing wrong.
    unknown = saga(scene, "policy", "checkout", "--route", ROUTE.format("fraud_check"))
    assert unknown.code == 2 and "SAGA_STEPS" in unknown.error


@pytest.mark.slow("a worker, and a service that screens its orders")
def test_an_own_step_has_its_effect_at_a_service_over_http(scene: Scene, tmp_path: Path) -> None:
    port = str(free_port())
    service = subprocess.Popen(
        [sys.executable, "examples/carrier/carrier.py", "--port", port, "--file", str(tmp_path / "fraud.db")],
        cwd=ROOT,
    )
    try:
        settings = {
            **with_step("fraud_service"),
            "SAGA_PROVIDERS": "fraud=saga_app.effects.providers.http:provider",
            "SAGA_PROVIDER_FRAUD_ADDRESS": f"http://127.0.0.1:{port}",
        }
        scene.shop.send(supplies())
        scene.worker("w1", **settings).start().ready()
        done = saga(scene, "policy", "checkout", "--route", ROUTE.format("fraud_service"), **settings)
        assert done.code == 0, done
        scene.log.wait_until_quiet()
        scene.feed([{**order, "country": "GB"} for order in orders(30)], until_ended=30)
        abroad = {"amount": "5.00", "country": "NZ"}
        begun = {**abroad, "order_id": "begun", "payment_reference": "fraud:begun-1"}
        scene.feed([{**abroad, "order_id": "abroad"}, begun], until_ended=2)
        scene.log.wait_until_quiet()
        audit = saga(scene, "audit", "--json", **settings)
        assert audit.code == 0, audit
        told = saga(scene, "order", "abroad", "--json", **settings)
        assert told.code in (0, 1)
        history = saga(scene, "history", "abroad", **settings).out
        assert "fraud_service" in history and "declined" in history and "paid" not in history
        # What the customer has begun is given up, although payment was never asked to act.
        begun_told = saga(scene, "history", "begun", **settings).out
        assert "declined" in begun_told and "payment_events" in begun_told and "paid" not in begun_told
        asked = [json.loads(line) for line in saga(scene, "effects", "--json", **settings).out.splitlines()]
        assert not [each for each in asked if each.get("state") in ("DOING", "PREVENTING", "UNDOING")]
    finally:
        service.kill()
        service.wait()
