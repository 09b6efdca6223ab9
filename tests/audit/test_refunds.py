"""Refunds in the audit: money and stock add up with them, and a refund that is half done is found."""

from decimal import Decimal
from pathlib import Path

import pytest

from saga_app import topics
from saga_app.core.records import RefundOpened, RefundReason
from saga_app.kafka.messages import outgoing
from tests.audit.reading import broken, figures
from tests.audit.world import AuditWorld, bought
from tests.support.examples import (
    cancel,
    delivery,
    deposit,
    part,
    refund_completed,
    refund_opened,
    refund_refused,
    repay,
    restock,
)

ORDER = bought("o1", "10.00", mug=2)


def opened(refund_id: str, amount: str | None = None, **fields: object) -> RefundOpened:
    return refund_opened(refund_id, amount, "o1", **fields)


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """An order with a refund of money, one of money and goods, and one for too much; one that was cancelled."""
    world.run(delivery("d1", mug=10), deposit("d1", "100.00"))
    world.run(ORDER, bought("o2"), cancel("o2"))
    world.run(refund_opened("r1", "1.00", "o2"))
    world.run(opened("r1", "2.50"), opened("r2", "3.00", lines=[("mug", 1)], restock=True))
    return world.run(opened("r3", "9.00"), opened("r1", "2.50"))


def test_money_and_stock_add_up_with_refunds(shop: AuditWorld) -> None:
    assert shop.breaches() == []
    money, stock = figures(shop, "I1"), figures(shop, "I2")
    assert money["GBP left"] == Decimal("95.50")
    assert (stock["main came"], stock["main left"]) == (10, 9)
    counted = figures(shop, "I4")
    assert (counted["refunds completed"], counted["refunds refused"]) == (2, 2)


def test_they_add_up_when_the_order_is_evicted(world: AuditWorld, tmp_path: Path) -> None:
    world.run().evict()
    world.run(delivery("d1", mug=10), deposit("d1", "100.00")).run(ORDER)
    world.run(opened("r1", "2.50"), opened("r2", "3.00", lines=[("mug", 1)], restock=True))
    assert world.checkpointed(tmp_path).breaches == []
    world.evict().run()
    world.run(opened("late"))
    assert world.checkpointed(tmp_path).breaches == world.breaches() == []
    assert figures(world, "I3") == {"COMPLETED": 0, "COMPLETED and closed": 1}
    assert figures(world, "I1")["GBP left"] == Decimal("95.50")
    assert figures(world, "I8")["dead letters closed_order"] == 1


def test_a_refund_under_way_is_no_breach(shop: AuditWorld) -> None:
    shop.send(opened("r4", "1.00"))
    shop.decide(next(iter(shop.waiting())))
    assert shop.breaches() == []
    assert figures(shop, "I4")["refunds open"] == 1


def test_a_refund_that_completed_without_its_money_is_found(world: AuditWorld) -> None:
    world.run(delivery("d1", mug=10), deposit("d1", "100.00")).run(ORDER)
    world.send(opened("r1", "2.50"))
    world.decide(next(iter(world.waiting())))
    # The request is lost, and somebody says that all is done.
    place, request = world.find(topics.PAYMENT, "RepaymentRequested")
    world.remove(place, request)
    world.run(refund_completed("r1"))
    found = {each.invariant for each in world.breaches()}
    assert "I4" in found and "I6" in found


def test_a_refund_that_was_refused_and_paid_is_found(shop: AuditWorld) -> None:
    # r3 was for too much; somebody asks payment for a part of it all the same.
    shop.run(repay(ORDER.order, part("r3", "1.00")))
    found = broken(shop)
    assert "I4" in found and "I6" in found


def test_a_request_for_goods_that_nobody_sent_is_found(shop: AuditWorld) -> None:
    shop.run(restock(ORDER.order, part("r9", "0.00", lines=[("mug", 1)], restock=True)))
    assert "I6" in broken(shop)


def test_a_refusal_of_a_completed_refund_is_found(shop: AuditWorld) -> None:
    shop.append(outgoing(refund_refused("r1", RefundReason.MORE_THAN_PAID)))
    shop.run()
    assert "I3" in broken(shop)


def test_a_balance_without_its_refund_is_found(shop: AuditWorld) -> None:
    shop.rewrite(*shop.row("accounts", "c1:GBP"), balance="92.50")
    assert broken(shop) == ["I7"]
