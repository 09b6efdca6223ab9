"""The fold of one inbox partition, and its comparison with a changelog, over topics in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from saga_app import topics
from saga_app.audit.context import AuditContext
from saga_app.audit.cuts import Limits
from saga_app.audit.refold import service_of
from saga_app.audit.scratch import FOLDED, Stores
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.records import MOST_SEGMENTS
from saga_app.core.retention.rows import LowWatermark
from saga_app.kafka.messages import Outgoing, Place
from saga_app.rebuild.compare import TablePart, add_up, compare
from saga_app.rebuild.fold import Gap, fold
from saga_app.rebuild.survey import CannotRebuild, must_know_signatures
from saga_app.times import written
from tests.audit.reading import reading
from tests.audit.world import PARTITIONS, AuditWorld, bought
from tests.support.examples import delivery, deposit, orders_evicted
from tests.support.signing import INTERNAL, signing


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[AuditWorld]:
    """Orders of all endings, decided and committed."""
    with reading(AuditWorld()) as world:
        yield world.run(deposit("d1"), delivery("s1", mug=5)).run(
            bought("whole"), bought("poor", "90.01"), bought("scarce", mug=9), bought("far", country="NZ")
        )


def context(world: AuditWorld, folder: Path) -> AuditContext:
    """The rebuild of this world, as far as it is committed."""
    places = [(topic, partition) for topic in topics.INBOXES for partition in range(PARTITIONS)]
    logs = [place for place in world.logs if place[0].endswith("-changelog")]
    limits = Limits(
        dict.fromkeys(places, FIRST),
        dict(world.committed),
        {place: world.end(place) for place in logs},
        {place: world.end(place) for place in places},
        {},
    )
    return AuditContext(world.settings, limits, folder)


def losses(world: AuditWorld, folder: Path, inbox: Place, table: str) -> tuple[int, int, int, str | None]:
    """The rows lost, wrong and decided later, and the first one that the inbox cannot explain."""
    here = context(world, folder)
    found = compare(here, TablePart(table, inbox, fold(here, inbox).gaps))
    return found.lost, found.wrong, found.later, found.unexplained


def test_a_whole_changelog_has_lost_nothing(shop: AuditWorld, tmp_path: Path) -> None:
    here = context(shop, tmp_path)
    found = [
        compare(here, TablePart("payments", place, fold(here, place).gaps))
        for place in here.limits.committed
        if place[0] == topics.PAYMENT
    ]
    (sums,) = add_up(found)
    assert (sums.lost, sums.wrong, sums.later, sums.unexplained) == (0, 0, 0, None)
    keys = {
        key for place, tables in shop.tables.items() if place[0] == topics.PAYMENT for key in tables.bytes
    }
    assert sums.rows == sum(table == "payments" for table, _ in keys) == 5


def test_lost_and_older_rows_are_counted(shop: AuditWorld, tmp_path: Path) -> None:
    place, last = shop.row("accounts", "c1:GBP")
    shop.remove(place, last)
    assert losses(shop, tmp_path / "a", (topics.PAYMENT, place[1]), "accounts")[:3] == (1, 0, 0)
    shop.logs[place].clear()
    assert losses(shop, tmp_path / "b", (topics.PAYMENT, place[1]), "accounts")[:3] == (1, 0, 0)


def test_rows_that_do_not_follow_from_the_inbox_are_counted(shop: AuditWorld, tmp_path: Path) -> None:
    place, row = shop.row("accounts", "c1:GBP")
    shop.rewrite(place, row, balance="900.00")
    assert losses(shop, tmp_path, (topics.PAYMENT, place[1]), "accounts")[:3] == (0, 1, 0)


def test_records_above_the_committed_offset_are_not_folded(shop: AuditWorld, tmp_path: Path) -> None:
    place, _ = shop.row("orders", "whole")
    inbox = (topics.CHECKOUT, place[1])
    shop.committed[inbox] = Offset(shop.committed[inbox] - 1)
    lost, wrong, later, unexplained = losses(shop, tmp_path, inbox, "orders")
    assert (lost, wrong, unexplained) == (0, 0, None) and later == 1


def test_a_row_whose_record_the_inbox_has_lost_is_named(shop: AuditWorld, tmp_path: Path) -> None:
    place, deposit = shop.find(topics.PAYMENT, "FundsDeposited")
    shop.remove(place, deposit)
    assert fold(context(shop, tmp_path / "a"), place).gaps == (Gap(deposit.at, deposit.at + 1),)
    words = losses(shop, tmp_path / "b", place, "payments")[3]
    assert words and "deposit:c1:d1" in words and "has no record there any more" in words


def test_a_row_of_a_record_behind_the_end_of_its_inbox_is_named(shop: AuditWorld, tmp_path: Path) -> None:
    place, _ = shop.row("shipments", "far")
    inbox = (topics.SHIPPING, place[1])
    last = shop.logs[inbox][-1]
    shop.remove(inbox, last)
    shop.committed[inbox] = last.at
    words = losses(shop, tmp_path, inbox, "shipments")[3]
    assert words and f"which ends at {last.at}" in words


def test_a_forged_record_that_workers_refused_is_not_rebuilt(shop: AuditWorld, tmp_path: Path) -> None:
    keys = signing(tmp_path)
    shop.settings = replace(
        shop.settings, signing_keys_file=keys.signing_keys_file, signed_since=written(shop.now + 1)
    )
    shop.run(*INTERNAL)
    folders = iter(range(99))
    for place in context(shop, tmp_path).limits.committed:
        for table in service_of(place[0]).tables:
            folder = tmp_path / str(next(folders))
            folder.mkdir()
            assert losses(shop, folder, place, table) == (0, 0, 0, None)


def test_a_rebuild_without_the_settings_of_workers_that_need_signatures_is_refused(
    shop: AuditWorld, tmp_path: Path
) -> None:
    """It would decide as true what they refused, and write it into the tables."""
    off, keys = shop.settings, signing(tmp_path)
    must_know_signatures(off, None)  # type: ignore[arg-type]
    shop.settings = replace(off, signing_keys_file=keys.signing_keys_file, signed_since=written(shop.now + 1))
    shop.run(*INTERNAL)
    must_know_signatures(shop.settings, None)  # type: ignore[arg-type]
    with pytest.raises(CannotRebuild, match="SAGA_SIGNED_SINCE is not set here"):
        must_know_signatures(off, None)  # type: ignore[arg-type]


def test_a_low_watermark_that_a_forged_record_has_raised_is_lower_after_a_rebuild(
    shop: AuditWorld, tmp_path: Path
) -> None:
    """The record is decided by the rule of today, whoever took it, and the row in the changelog is wrong."""
    shop.run(orders_evicted(10**12, 10**12 + MOST_SEGMENTS))
    shop.rewrite(*shop.row("payments", "low_watermark:0"), evicted_below=10**12 + MOST_SEGMENTS)
    inbox = (topics.PAYMENT, 0)
    assert losses(shop, tmp_path, inbox, "payments")[:3] == (0, 1, 0)
    with Stores(tmp_path) as stores:
        row = stores.store(FOLDED, ("payments", 0)).get(b"low_watermark:0")
    assert row is not None and LowWatermark.decode(row).evicted_below == 0


@pytest.mark.parametrize("value", [b"garbage", b'{"version":1000000000000,"state":"DONE","content":""}'])
def test_a_record_that_is_no_row_stops_no_rebuild(shop: AuditWorld, tmp_path: Path, value: bytes) -> None:
    """It says nothing about the inbox: that lost no record."""
    shop.append(Outgoing("saga-payments-changelog", b"whole", value, 0))
    assert losses(shop, tmp_path, (topics.PAYMENT, 0), "payments") == (0, 0, 0, None)
