"""An audit of correct topics finds no breach, and an audit of damaged topics finds each damage."""

from decimal import Decimal

import pytest

from saga_app import topics
from saga_app.audit.findings import INVARIANTS
from saga_app.audit.report import as_json, as_lines
from saga_app.engine.ports import written_again
from saga_app.kafka.messages import Outgoing
from tests.audit.reading import breach, broken, figures
from tests.audit.world import AuditWorld, bought, every_ending
from tests.support.examples import cancelled, completed, order, refund, release


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that end in every way, and one bad record."""
    return every_ending(world)


def test_everything_holds_where_nothing_is_wrong(shop: AuditWorld) -> None:
    assert shop.breaches() == []


def test_every_order_is_counted_by_its_ending(shop: AuditWorld) -> None:
    assert figures(shop, "I3") == {
        "COMPLETED": 1,
        "CANCELLED": 6,
        "cancelled: over_limit": 1,
        "cancelled: insufficient_funds": 1,
        "cancelled: unknown_sku": 1,
        "cancelled: out_of_stock": 1,
        "cancelled: undeliverable": 1,
        "cancelled: requested": 1,
    }


def test_money_is_told_by_currency_and_stock_by_warehouse(shop: AuditWorld) -> None:
    money, stock = figures(shop, "I1"), figures(shop, "I2")
    assert money["GBP came"] == Decimal("100.00")
    assert (
        money["GBP left"]
        == Decimal("90.00")
        == money["GBP came"] - money["GBP taken"] + money["GBP returned"]
    )
    assert (stock["main came"], stock["main left"]) == (12, 11)


def test_every_record_is_accounted_for(shop: AuditWorld) -> None:
    found = figures(shop, "I8")
    assert found["applied"] + found["repeated"] + found.get("ignored", 0) + found["dead"] == found["offsets"]
    assert (found["dead letters unreadable"], found["dead letters"], found["gaps"]) == (1, 1, 0)
    assert (found["placed applied"], found["placed repeated"]) == (7, 1)


def test_there_is_a_line_for_each_invariant(shop: AuditWorld) -> None:
    words = list(as_lines(shop.audit()))
    assert [line.split()[0] for line in words] == list(INVARIANTS)
    assert all("holds" in line for line in words)
    assert "deposited 100.00 - taken" in words[0]


def test_an_empty_system_holds(world: AuditWorld) -> None:
    assert world.run().breaches() == []


# I1, I2


def test_money_that_the_journal_did_not_move_is_found_in_the_changelog(shop: AuditWorld) -> None:
    shop.rewrite(*shop.row("accounts", "c1:GBP"), balance="91.00")
    found = breach(shop, "I7")
    assert found.place is not None and found.place[0] == topics.PAYMENT
    assert '"90.00"' in found.what and '"91.00"' in found.what


# I3, I4


def test_an_order_that_ended_both_ways_is_found(shop: AuditWorld) -> None:
    sent = shop.send(cancelled("completed"))
    found = breach(shop, "I3")
    assert (found.order, found.offset, found.field) == ("completed", sent.at, "status")


def test_a_completed_order_whose_stock_was_released_is_found(shop: AuditWorld) -> None:
    bought_order = order("completed", "10.00", customer_id="c1", country="GB", lines=[("mug", 1)])
    shop.run(release(bought_order))
    found = {(each.order, each.field) for each in shop.breaches() if each.invariant == "I4"}
    assert ("completed", "reservations.state") in found
    assert "I6" in broken(shop), "nobody asked for it either"


def test_an_order_that_ended_without_its_shipment_is_found(world: AuditWorld) -> None:
    world.send(bought("o1"))
    world.send(completed("o1"))
    world.run()
    assert breach(world, "I4").order == "o1"


# I5


def test_an_undo_that_was_asked_for_before_its_cause_was_durable_is_found(shop: AuditWorld) -> None:
    place, row = shop.row("reservations", "scarce")
    _, asked = shop.find(topics.PAYMENT, "RefundRequested")
    shop.replace(place, row, time=asked.time + 100_000)
    found = breach(shop, "I5")
    assert (found.order, found.field) == ("scarce", "reservations.version")
    assert "ms before" in found.what


def test_an_undo_that_nobody_behind_it_decided_is_found(shop: AuditWorld) -> None:
    shop.run(refund(order("completed", "10.00", customer_id="c1", country="GB", lines=[("mug", 1)])))
    assert "no row of inventory_events goes back" in breach(shop, "I5").what


def test_a_row_that_was_written_again_does_not_tell_since_when_its_order_goes_back(shop: AuditWorld) -> None:
    asked = figures(shop, "I5")["undos asked for"]
    place, row = shop.row("reservations", "scarce")
    assert row.sent_key is not None and row.sent_value is not None
    again = written_again(*place, row.sent_key, row.sent_value)
    shop.replace(place, row, time=shop.now + 100_000, sent_headers=again.headers)
    findings = shop.audit()
    assert findings.holds
    assert findings.unchecked["I5"] == {"undos whose first row was written again from a worker's disk": 1}
    assert findings.figures["I5"]["undos asked for"] == asked


def test_after_a_rebuild_an_audit_claims_less_for_the_undos_before_it_and_as_much_for_those_behind(
    shop: AuditWorld,
) -> None:
    asked = figures(shop, "I5")["undos asked for"]
    findings = shop.rebuild().audit()
    assert findings.holds
    assert findings.unchecked["I5"] == {"undos that were asked for before the tables were rebuilt": asked}

    shop.run(bought("further", country="NZ"))
    findings = shop.audit()
    assert findings.holds
    assert findings.unchecked["I5"].total() == asked < findings.figures["I5"]["undos asked for"]

    place, row = shop.row("shipments", "further")
    shop.replace(place, row, time=shop.now + 100_000)
    assert breach(shop, "I5").order == "further"


def test_a_record_that_is_decided_again_after_a_rebuild_is_no_breach(shop: AuditWorld) -> None:
    """Its undo was asked for before its row was lost."""
    place, row = shop.row("reservations", "scarce")
    shop.rebuild()
    _, again = shop.row("reservations", "scarce")
    shop.remove(place, again)
    shop.append(Outgoing(place[0], row.sent_key, row.sent_value, place[1]))
    assert shop.audit().holds


# I6


def test_a_request_from_nowhere_is_found(shop: AuditWorld) -> None:
    sent = shop.send(release(order("stranger", lines=[("mug", 1)])))
    found = breach(shop, "I6")
    assert (found.order, found.offset) == ("stranger", sent.at)
    assert found.place is not None and found.place[0] == topics.INVENTORY


def test_a_row_from_nowhere_is_found(shop: AuditWorld) -> None:
    shop.append(
        Outgoing("saga-shipments-changelog", b"ghost", b'{"version":0,"state":"DONE","content":""}', 0)
    )
    found = breach(shop, "I7")
    assert (found.order, found.place) == ("ghost", (topics.SHIPPING, 0))


def test_what_is_broken_is_named_for_machines(shop: AuditWorld) -> None:
    shop.run(release(order("stranger", lines=[("mug", 1)])))
    found = next(line for line in as_json(shop.audit()) if line["invariant"] == "I6")
    assert found["holds"] is False
    assert found["breaches"][0].keys() == {"id", "order", "topic", "partition", "offset", "what"}
    assert found["breaches"][0]["order"] == "stranger"
