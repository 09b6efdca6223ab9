"""Orders pass the fraud check on a real broker: refused by it, undone through it, and the audit holds."""

import json

from harness.orders import orders, supplies
from harness.scene import Scene
from tests.live.commands import saga


def test_orders_are_refused_by_the_fraud_check_and_undone_through_it(scene: Scene) -> None:
    scene.shop.send(supplies())
    scene.worker("w1").start()
    burst = list(orders(60))
    for number in (1, 2):
        burst[number].pop("customer_id")
        burst[number]["lines"] = [{"sku": "SKU-0001", "quantity": number, "unit_price": "400.00"}]
    scene.feed(burst, until_ended=60)
    scene.log.wait_until_quiet()

    rows = scene.ledger().rows("fraud_checks")
    assert (rows["o-1"]["state"], rows["o-2"]["state"]) == ("DONE", "REFUSED")
    # Refused by payment, by inventory and by shipping: the clearance is withdrawn each time.
    assert {rows[each]["state"] for each in ("o-0", "o-10", "o-20")} == {"UNDONE"}
    assert "o-2" not in scene.ledger().rows("payments")

    audit = saga(scene, "audit", "--json")
    assert audit.code == 0, audit
    figures = {line["invariant"]: line["figures"] for line in map(json.loads, audit.out.splitlines())}
    assert figures["I3"]["cancelled: suspected_fraud"] == 1
    told = saga(scene, "history", "o-10").out
    assert told.index("clearance withdrawn") > told.index("refunded") > told.index("cleared")
    scene.prove()
