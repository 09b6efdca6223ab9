"""An audit of correct topics finds no breach, and an audit of damaged topics finds each damage."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from saga_app import topics, wire
from saga_app.audit.cuts import AsOf
from saga_app.audit.findings import Breach
from saga_app.audit.report import as_json, as_lines
from saga_app.core.numbers import Offset
from saga_app.core.records import Record
from saga_app.engine.ports import written_again
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka.headers import SENT_ON
from saga_app.kafka.messages import Header, Outgoing, Place
from tests.audit.reading import broken, figures
from tests.audit.world import PARTITIONS, AuditWorld, Written, bought
from tests.support.examples import (
    cancel,
    cancelled,
    completed,
    delivery,
    deposit,
    limit,
    order,
    pay,
    refund,
    release,
)
from tests.support.given import BEGINNING


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that end in every way, and one bad record."""
    supplies: list[Record] = [delivery("d1", mug=10, cup=2), deposit("d1", "100.00")]
    orders: list[Record] = [
        bought("completed"),
        bought("dear", "2000.00"),
        bought("poor", "95.00"),
        bought("unknown", hat=1),
        bought("scarce", cup=3),
        bought("far", country="NZ"),
        bought("regretted"),
        cancel("regretted"),
        bought("completed"),
    ]
    world.send(b"{", topics.PAYMENT, 0)
    return world.run(*supplies).run(*orders)


def breach(world: AuditWorld, invariant: str) -> Breach:
    return next(each for each in world.breaches() if each.invariant == invariant)


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
    assert [line.split()[0] for line in words] == [f"I{number}" for number in range(1, 10)]
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


# I7


#: Key, value and headers of records of a changelog that are no rows.
FOREIGN: Final[dict[str, tuple[bytes | None, bytes | None, tuple[Header, ...]]]] = {
    "garbage": (b"x", b"garbage", ()),
    "empty": (b"x", b"", ()),
    "cut off": (b"x", b'{"version":0,"state":"DO', ()),
    "no fields": (b"x", b'{"version":0,"other":1}', ()),
    "another kind": (b"low_watermark:0", b'{"version":0,"state":"DONE","content":""}', ()),
    "a version that is no number": (b"x", b'{"version":nine,"state":"DONE","content":""}', ()),
    "a version far too high": (b"completed", b'{"version":%d,"state":"DONE","content":""}' % 10**12, ()),
    "a version that is no offset": (b"completed", b'{"version":%d,"state":"DONE","content":""}' % 10**40, ()),
    "no key": (None, b'{"version":0,"state":"DONE","content":""}', ()),
    "a key of other bytes": (b"\xff", b'{"version":0,"state":"DONE","content":""}', ()),
    "a tombstone with another header": (b"x", None, (("saga-version", b"\xff"),)),
}


@pytest.mark.parametrize("record", FOREIGN.values(), ids=FOREIGN)
def test_a_record_that_is_no_row_is_told_with_its_place_and_the_audit_goes_on(
    shop: AuditWorld, record: tuple[bytes | None, bytes | None, tuple[Header, ...]]
) -> None:
    key, value, headers = record
    sent = shop.append(Outgoing("saga-shipments-changelog", key, value, 1, headers))
    shop.append(Outgoing("saga-orders-changelog", b"ghost", shop.row("orders", "far")[1].sent_value, 0))
    found = [(each.invariant, each.place, each.offset) for each in shop.breaches()]
    assert ("I7", ("saga-shipments-changelog", 1), sent.at) in found
    assert len(found) == 2, "the audit went on, and found the other one"


def on_its_way(shop: AuditWorld) -> AuditWorld:
    """Order `late` is decided everywhere, and its completion waits at checkout."""
    partition = topics.partition_of("late", PARTITIONS)
    shop.send(bought("late"))
    shop.decide((topics.CHECKOUT, partition))
    while waiting := [place for place in shop.waiting() if place[0] != topics.CHECKOUT]:
        shop.decide(waiting[0])
    assert shop.waiting() == [(topics.CHECKOUT, partition)]
    assert shop.audit().holds
    return shop


def test_a_row_that_changes_behind_the_commit_is_compared_with_its_committed_version(
    shop: AuditWorld,
) -> None:
    """The inbox gives a younger row, so the one in the changelog need not be that; but it must not be missing."""
    place, row = on_its_way(shop).row("orders", "late")
    shop.remove(place, row)
    found = breach(shop, "I9")
    assert (found.order, found.offset) == ("late", json.loads(row.sent_value or b"")["version"])


def test_a_row_that_changes_behind_the_commit_must_not_have_been_another(shop: AuditWorld) -> None:
    place, row = on_its_way(shop).row("orders", "late")
    shop.rewrite(place, row, tries=3)
    assert breach(shop, "I7").order == "late"


def test_an_older_row_behind_the_committed_one_is_found_once_compaction_has_removed_that(
    shop: AuditWorld,
) -> None:
    """A late write, and the row that it replaced is gone: the balance of a customer who is paying again."""
    older = shop.row("accounts", "c1:GBP")[1].sent_value
    place, row = on_its_way(shop).row("accounts", "c1:GBP")
    shop.send(pay(bought("later").order))
    assert shop.audit().figures["I7"]["rows under way"]
    shop.remove(place, row)
    shop.append(Outgoing(place[0], b"c1:GBP", older, place[1]))
    assert breach(shop, "I9").what.startswith("accounts c1:GBP")


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("orders", "completed"),
        ("payments", "completed"),
        ("payments", "deposit:c1:d1"),
        ("accounts", "c1:GBP"),
        ("reservations", "far"),
        ("stock", "main:mug"),
        ("shipments", "far"),
    ],
)
def test_a_row_that_is_missing_in_a_changelog_is_found(shop: AuditWorld, table: str, key: str) -> None:
    """It was committed, so it must have been written: that is I9."""
    for _ in range(10):
        try:
            place, row = shop.row(table, key)
        except IndexError:
            break
        shop.remove(place, row)
    found = breach(shop, "I9")
    assert f"{table} {key}" in found.what


@pytest.mark.parametrize("table", ["orders", "payments", "reservations", "shipments"])
def test_a_row_with_another_content_is_found(shop: AuditWorld, table: str) -> None:
    shop.rewrite(*shop.row(table, "far"), reason="requested")
    found = breach(shop, "I7")
    assert found.order == "far"
    assert "requested" in found.what


def test_an_old_row_behind_a_new_one_is_no_breach_but_is_told(shop: AuditWorld) -> None:
    """Its next owner writes the new one again."""
    place, row = shop.find("saga-orders-changelog", "completed")
    shop.append(Outgoing(place[0], row.sent_key, row.sent_value, place[1]))
    assert shop.breaches() == []
    assert figures(shop, "I7")["stale rows to be written again"] == 1


def test_a_stopped_workers_tables_are_compared_too(shop: AuditWorld, tmp_path: Path) -> None:
    for partition in range(PARTITIONS):
        changelog = ("saga-orders-changelog", partition)
        store = RocksStore(tmp_path / "tables" / f"orders-{partition}.db", Memory())
        store.write(
            {each.sent_key or b"": each.sent_value or b"" for each in shop.logs[changelog]},
            shop.end(changelog),
        )
        store.close()
    findings = shop.audit(data_dirs=[tmp_path])
    assert findings.holds
    assert findings.figures["I7"]["rows in stores"] == 7


@pytest.mark.parametrize("spoil", ["missing", "changed", "extra"])
def test_a_store_that_differs_from_its_changelog_is_found(
    shop: AuditWorld, tmp_path: Path, spoil: str
) -> None:
    place, _ = shop.row("orders", "completed")
    rows = {each.sent_key or b"": each.sent_value or b"" for each in shop.logs[place]}
    if spoil == "missing":
        del rows[b"completed"]
    elif spoil == "changed":
        rows[b"completed"] = rows[b"completed"].replace(b"COMPLETED", b"CANCELLED")
    else:
        rows[b"ghost"] = rows[b"completed"]
    store = RocksStore(tmp_path / "tables" / f"orders-{place[1]}.db", Memory())
    store.write(rows, shop.end(place))
    store.close()
    found = shop.audit(data_dirs=[tmp_path]).breaches
    assert [(each.invariant, each.order) for each in found] == [
        ("I7", "ghost" if spoil == "extra" else "completed")
    ]


def test_a_store_that_cannot_be_read_is_told_and_no_breach(shop: AuditWorld, tmp_path: Path) -> None:
    """A worker that opens it, or comes to the damaged place, rebuilds it: nothing is lost."""
    place, _ = shop.row("orders", "completed")
    path = tmp_path / "tables" / f"orders-{place[1]}.db"
    store = RocksStore(path, Memory())
    store.write({each.sent_key or b"": each.sent_value or b"" for each in shop.logs[place]}, shop.end(place))
    store.close()
    for file in path.glob("*.sst"):
        file.write_bytes(bytes(byte ^ 0xFF for byte in file.read_bytes()))
    findings = shop.audit(data_dirs=[tmp_path])
    assert findings.holds
    (why,) = findings.unchecked["I7"]
    assert "could not be read" in why


# I8


def first_letter(shop: AuditWorld) -> tuple[Place, Written]:
    return next((place, log[0]) for place, log in shop.logs.items() if place[0] == "dead_letters" and log)


def test_a_dead_letter_that_is_missing_is_found(shop: AuditWorld) -> None:
    shop.remove(*first_letter(shop))
    found = breach(shop, "I9")
    assert (found.place, found.offset) == ((topics.PAYMENT, 0), 0)


def test_of_letters_past_their_retention_an_audit_claims_less_and_any_later_one_must_be_there(
    shop: AuditWorld,
) -> None:
    place, letter = first_letter(shop)
    for _ in range(2):
        shop.send(b"{", topics.PAYMENT, 0)
        shop.run()
    shop.keep_from(place, letter.at + 1)
    findings = shop.audit()
    assert findings.holds and findings.figures["I8"]["dead letters past their retention"] == 1
    assert "some letters are gone" in str(findings.unchecked["I8"])

    shop.remove(place, shop.logs[place][-1])
    assert breach(shop, "I9").place == (topics.PAYMENT, 0)


def test_where_letters_stay_for_ever_none_may_be_gone(shop: AuditWorld) -> None:
    place, letter = first_letter(shop)
    shop.cut[place] = shop.end(place)
    shop.remove(place, letter)
    assert shop.logs[place] == [] and breach(shop, "I9").place == (topics.PAYMENT, 0)


def test_a_dead_letter_that_nothing_explains_is_found(shop: AuditWorld) -> None:
    _, letter = first_letter(shop)
    headers = [(name, b"invalid" if name == "saga-reason" else value) for name, value in letter.sent_headers]
    shop.append(Outgoing("dead_letters", b"k", letter.sent_value, 0, headers))
    assert "dead letter invalid of payment_events:0:0" in breach(shop, "I8").what


def test_a_dead_letter_with_a_reason_that_is_no_text_is_found(shop: AuditWorld) -> None:
    _, letter = first_letter(shop)
    headers = [(name, b"\xff" if name == "saga-reason" else value) for name, value in letter.sent_headers]
    shop.append(Outgoing("dead_letters", b"k", letter.sent_value, 0, headers))
    assert r"dead letter \xff of payment_events:0:0" in breach(shop, "I8").what


# I9


def test_a_request_that_was_committed_and_not_sent_is_found(shop: AuditWorld) -> None:
    shop.run(bought("once"))
    shop.replace(*shop.find(topics.SHIPPING, "once"), sent_value=b"{")
    found = [each for each in shop.breaches() if each.invariant == "I9" and "ShipmentRequested" in each.what]
    assert [each.order for each in found] == ["once"]


def test_a_record_that_was_sent_on_and_is_a_dead_letter_there_is_not_missed(world: AuditWorld) -> None:
    """Another content came first, so what was sent on from the wrong partition is set aside in the right one."""
    right = topics.partition_of("twice", PARTITIONS)
    wrong: Place = (topics.CHECKOUT, 1 - right)
    lost = wire.encode(bought("twice", "2.00"))
    world.send(lost, partition=wrong[1])
    world.committed[wrong] = world.end(wrong)
    world.run(bought("twice", "1.00"))
    assert "record to be sent on" in breach(world, "I9").what
    world.append(Outgoing(topics.CHECKOUT, b"twice", lost, headers=((SENT_ON, b"1"),)))
    findings = world.run().audit()
    assert findings.holds
    assert findings.figures["I8"]["dead letters different_content"] == 1


def test_a_policy_that_did_not_reach_every_partition_is_found(world: AuditWorld) -> None:
    policy = limit("p", "5.00")
    place = topics.PAYMENT, topics.POLICY_PARTITION
    world.send(policy, partition=topics.POLICY_PARTITION)
    assert world.waiting() == [place]
    world.decide(place, crashes=True)
    world.committed[place] = Offset(1)
    assert "policy for another partition" in breach(world, "I9").what
    copy = Outgoing(topics.PAYMENT, b"p", wire.encode(policy), 1, ((SENT_ON, b"1"),))
    world.append(copy)
    assert world.run().audit().holds


def test_a_record_that_was_committed_and_is_gone_is_found(shop: AuditWorld) -> None:
    place = max(shop.committed, key=lambda each: shop.committed[each])
    shop.committed[place] = Offset(shop.committed[place] + 3)
    assert "records were lost" in breach(shop, "I9").what


def test_what_is_under_way_is_told_and_no_breach(shop: AuditWorld) -> None:
    """A worker was killed: its rows and requests are partly written, and nothing of it is committed."""
    shop.send(bought("under"))
    findings = shop.audit()
    assert findings.holds
    assert findings.figures["I6"]["requests and endings under way"] == 1
    assert findings.figures["I7"]["rows under way"] == 1
    assert findings.figures["I9"]["lag"] == 1


# Earlier states, and topics without their beginning


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


def test_what_is_broken_is_named_for_machines(shop: AuditWorld) -> None:
    shop.run(release(order("stranger", lines=[("mug", 1)])))
    found = next(line for line in as_json(shop.audit()) if line["invariant"] == "I6")
    assert found["holds"] is False
    assert found["breaches"][0].keys() == {"id", "order", "topic", "partition", "offset", "what"}
    assert found["breaches"][0]["order"] == "stranger"


@pytest.mark.parametrize(
    "reason", [b"\xff\xfe", None, b"", b"x" * 100_000], ids=["bytes", "none", "empty", "long"]
)
def test_a_letter_that_no_worker_wrote_is_told_and_the_audit_goes_on(
    shop: AuditWorld, reason: bytes | None
) -> None:
    """It has the headers of a letter, and in them what no worker writes."""
    headers = (
        ("saga-reason", reason),
        ("saga-detail", b"\xff"),
        ("saga-topic", topics.PAYMENT.encode()),
        ("saga-partition", b"1"),
        ("saga-offset", b"999999999999"),
        ("saga-time", b"9" * 5_000),
    )
    sent = shop.append(Outgoing(topics.DEAD_LETTERS, b"\xff", b"\xff", 1, headers))
    found = [(each.place, each.offset) for each in shop.breaches()]
    assert found == [((topics.DEAD_LETTERS, 1), sent.at)]
