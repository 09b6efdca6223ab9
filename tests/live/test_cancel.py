"""Cancellations, deposits that come twice, and rules that change: what people send while orders are under way."""

import pytest

from harness.orders import Sent, orders, supplies
from harness.scene import Scene


def cancellation(order_id: str) -> Sent:
    return {"type": "CancellationRequested", "order_id": order_id, "note": "changed my mind"}


@pytest.mark.promise("a cancellation")
def test_an_order_cancelled_on_its_way_is_completed_or_cancelled_wholly(scene: Scene) -> None:
    """200 cancellations right behind their orders, 200 while orders are anywhere, 50 too late: and that is logged."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    scene.log.wait_until_quiet()
    at_once = list(orders(200, prefix="at-once"))
    scene.shop.send(each for order in at_once for each in (order, cancellation(order["order_id"])))
    scene.feed(orders(400, seed=2, prefix="open"), until_ended=20)
    scene.shop.send(cancellation(f"open-{number}") for number in range(399, 199, -1))
    scene.endings.wait_for(600, 60)
    ended = [order for order, how in scene.endings.ended.items() if how == "COMPLETED"][:50]
    scene.shop.send(map(cancellation, ended))
    scene.log.wait_until_quiet()
    too_late = worker.text().count("too late to cancel")
    ledger = scene.prove()
    statuses = ledger.statuses()
    assert statuses["requested"] >= 100, f"the cancellations did not bite: {statuses}"
    assert statuses["COMPLETED"] >= 50
    asked = {f"at-once-{n}" for n in range(200)} | {f"open-{n}" for n in range(200, 400)}
    completed = {key for key, row in ledger.orders().items() if row["status"] == "COMPLETED"}
    assert too_late == len(asked & completed) + len(ended)


@pytest.mark.slow("600 orders in 30 bursts")
def test_orders_cancelled_at_moments_spread_over_their_lives_end_wholly_and_late_ones_are_told(
    scene: Scene,
) -> None:
    """600 orders in bursts of 20; a quarter is cancelled with them, the others when 5, 10 and all 20 have ended."""
    worker = scene.worker("w1").start().ready()
    scene.shop.send(supplies())
    scene.log.wait_until_quiet()
    placed = list(orders(600, seed=5, prefix="spread"))
    for at in range(0, 600, 20):
        burst = placed[at : at + 20]
        scene.shop.send([*burst, *(cancellation(order["order_id"]) for order in burst[15:])])
        for first, ended in ((10, 5), (5, 10), (0, 20)):
            scene.endings.wait_for(at + ended, 60)
            scene.shop.send(cancellation(order["order_id"]) for order in burst[first : first + 5])
    scene.log.wait_until_quiet()
    told = worker.text()
    ledger = scene.ledger()
    ledger.check()
    statuses = ledger.statuses()
    assert statuses["requested"] >= 20 and statuses["COMPLETED"] >= 20, f"not spread: {statuses}"
    for order_id, row in ledger.orders().items():
        words = f"checkout_events: order {order_id}: too late to cancel: the "
        assert told.count(words) == (row["status"] == "COMPLETED"), f"{order_id} is {row['status']}"


@pytest.mark.slow("a rule of the core, on a real broker")
def test_a_deposit_or_a_delivery_that_comes_twice_counts_once(scene: Scene) -> None:
    """With 10.00 sent twice there is not enough for 10.01, and with 5 pieces sent twice not for 6."""
    scene.worker("w1").start().ready()
    twice: list[Sent] = [
        {"type": "FundsDeposited", "deposit_id": "d", "customer_id": "ada", "amount": "10.00"},
        {"type": "StockReceived", "delivery_id": "s", "lines": [{"sku": "MUG", "quantity": 5}]},
    ]
    scene.shop.send([*twice, *twice])
    scene.log.wait_until_quiet()
    scene.shop.send(
        [
            {"order_id": "money", "customer_id": "ada", "amount": "10.01"},
            {"order_id": "mugs", "lines": [{"sku": "MUG", "quantity": 6, "unit_price": "1"}]},
        ]
    )
    scene.endings.wait_for(2, 60)
    assert scene.endings.ended == {"money": "insufficient_funds", "mugs": "out_of_stock"}
    ledger = scene.prove()
    assert ledger.rows("accounts")["ada:GBP"]["deposited"] == "10.00"
    assert ledger.rows("stock")["main:MUG"]["received"] == 5


@pytest.mark.slow("a rule of the core, on a real broker")
def test_a_change_of_policy_holds_for_every_order_behind_it(scene: Scene) -> None:
    """Refused before it, accepted after it, and still so on a worker that restores from nothing."""
    worker = scene.worker("w1").start().ready()
    large: Sent = {"amount": "1200.00"}
    abroad: Sent = {"amount": "1.00", "country": "FR"}

    def place(name: str, fields: Sent) -> None:
        scene.shop.send({"order_id": f"{name}-{number}", **fields} for number in range(20))

    place("large-before", large)
    place("abroad-before", abroad)
    scene.endings.wait_for(40, 60)
    scene.shop.policy("payment_events", policy_id="limit-1", limit="1500")
    scene.shop.policy("shipping_events", policy_id="countries-1", countries=["GB", "FR"])
    scene.log.wait_until_quiet()
    place("large-after", large)
    place("abroad-after", abroad)
    place("too-large-after", {"amount": "1500.00"})
    scene.endings.wait_for(100, 60)
    assert worker.end() == 0
    worker.lose_disk()
    worker.start().ready()
    place("large-later", large)
    scene.endings.wait_for(120, 60)
    how = {order.rpartition("-")[0]: end for order, end in scene.endings.ended.items()}
    assert how == {
        "large-before": "over_limit",
        "abroad-before": "undeliverable",
        "large-after": "COMPLETED",
        "abroad-after": "COMPLETED",
        "too-large-after": "over_limit",
        "large-later": "COMPLETED",
    }
    scene.prove()
