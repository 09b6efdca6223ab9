"""Audits of earlier states, and of topics that have lost their beginning."""

import pytest

from saga_app import topics
from saga_app.audit.cuts import AsOf
from saga_app.core.numbers import Offset
from tests.audit.reading import broken, figures
from tests.audit.world import PARTITIONS, AuditWorld, every_ending
from tests.support.given import BEGINNING


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that end in every way, and one bad record."""
    return every_ending(world)


def test_an_earlier_moment_is_told_as_it_was(shop: AuditWorld) -> None:
    _, end = shop.find(topics.CHECKOUT, "OrderCompleted")
    before, then = AsOf(time=end.time - 1), AsOf(time=end.time)
    assert figures(shop, "I3", before)["COMPLETED"] == 0
    assert figures(shop, "I3", then)["COMPLETED"] == 1
    assert shop.audit(before).holds and shop.audit(then).holds


@pytest.mark.parametrize("offset", [0, 1, 2, 5, 9, 1000])
def test_an_offset_cuts_every_inbox(shop: AuditWorld, offset: int) -> None:
    findings = shop.audit(AsOf(offset=Offset(offset)))
    cut = sum(min(offset, shop.end((topic, each))) for topic in topics.INBOXES for each in range(PARTITIONS))
    assert findings.figures["I8"]["offsets"] == cut
    assert findings.holds


def test_money_and_stock_add_up_at_every_moment(shop: AuditWorld) -> None:
    for moment in range(BEGINNING, shop.now, 10):
        assert shop.audit(AsOf(time=moment)).holds, moment


def test_where_the_beginning_is_gone_less_is_claimed(shop: AuditWorld) -> None:
    place, _ = shop.find(topics.PAYMENT, "PaymentRequested")
    del shop.logs[place][:2]
    findings = shop.audit()
    assert findings.holds
    assert any("begins at offset 2" in why for why in findings.unchecked["I7"])
    assert any("added up at its end only" in why for why in findings.unchecked["I1"])
    assert findings.unchecked["I6"]


def test_where_the_beginning_is_gone_sums_are_still_compared(shop: AuditWorld) -> None:
    place, _ = shop.find(topics.PAYMENT, "PaymentRequested")
    del shop.logs[place][:2]
    shop.rewrite(*shop.row("accounts", "c1:GBP"), balance="91.00")
    assert broken(shop) == ["I1"]
