"""I7: each row of changelogs and stores is the one that the inboxes give."""

import json
from pathlib import Path
from typing import Final

import pytest

from saga_app import topics
from saga_app.engine.stores.rocks import Memory, RocksStore
from saga_app.kafka.messages import Header, Outgoing
from tests.audit.reading import breach, figures
from tests.audit.world import PARTITIONS, AuditWorld, bought, every_ending
from tests.support.examples import pay


@pytest.fixture
def shop(world: AuditWorld) -> AuditWorld:
    """Orders that end in every way, and one bad record."""
    return every_ending(world)


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
