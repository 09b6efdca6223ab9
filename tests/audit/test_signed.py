"""Signed inboxes: the audit decides forged records as the workers did, and copies of signed records change nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from saga_app import topics, wire
from saga_app.audit.cuts import AsOf, CannotTell
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.dead_letters.format import dead_letter
from saga_app.kafka.headers import SENT_ON
from saga_app.kafka.messages import Message, Outgoing, outgoing
from saga_app.kafka.signatures import SIGNATURE
from saga_app.times import written
from tests.audit.reading import broken, figures
from tests.audit.world import PARTITIONS, AuditWorld, bought
from tests.support.examples import (
    cancel,
    countries,
    deadline,
    delivery,
    deposit,
    limit,
    placed,
    refund_opened,
)
from tests.support.signing import INTERNAL, PEOPLE, key_file, signing


@pytest.fixture
def shop(world: AuditWorld, tmp_path: Path) -> AuditWorld:
    """Orders that end in every way, of services that sign."""
    keys = signing(tmp_path)
    world.settings = replace(
        world.settings, signing_keys_file=keys.signing_keys_file, signed_since=keys.signed_since
    )
    return world.run(delivery("d1", mug=10, cup=2), deposit("d1"), limit("p1", "900")).run(
        bought("completed"),
        bought("dear", "2000.00"),
        bought("scarce", cup=3),
        bought("far", country="NZ"),
        bought("regretted"),
        cancel("regretted"),
    )


def test_forged_records_of_all_types_are_dead_letters_and_no_breach(shop: AuditWorld) -> None:
    before = {place: dict(tables.bytes) for place, tables in shop.tables.items()}
    shop.run(*INTERNAL)
    assert {place: tables.bytes for place, tables in shop.tables.items()} == before
    found = shop.audit()
    assert found.breaches == []
    assert found.figures["I8"]["dead letters not_signed"] == len(INTERNAL)


def test_a_forged_mark_of_a_record_that_was_sent_on_is_no_breach(shop: AuditWorld) -> None:
    """The audit does not look for a worker that has sent it on: no worker took the record."""
    for partition in range(PARTITIONS):
        forged = outgoing(countries("p2", "FR"))._replace(partition=partition, headers=((SENT_ON, b"1"),))
        shop.append(forged)
    shop.append(outgoing(placed("marked"))._replace(headers=((SENT_ON, b"1"),)))
    found = shop.run().audit()
    assert found.breaches == []
    assert found.figures["I8"]["dead letters not_signed"] == PARTITIONS + 1


def test_a_copy_of_each_signed_record_in_its_own_place_changes_no_row(shop: AuditWorld) -> None:
    """The offset is not signed, so somebody who can write may write it once more: the rules decide it as a repeat."""
    shop.evict().run(bought("kept"), bought("evicted"))
    refunds = (refund_opened(each, order_id="kept", restock=True) for each in ("whole", "nothing-left"))
    shop.run(*refunds)
    shop.send(bought("late"))
    shop.decide((topics.CHECKOUT, topics.partition_of("late", PARTITIONS)))
    shop.serve(outgoing(deadline("late")))
    shop.run().evict().run().evict(purge=True).run()
    before = {place: dict(tables.bytes) for place, tables in shop.tables.items()}
    signed = [
        (place, each)
        for place, log in list(shop.logs.items())
        if place[0] in topics.INBOXES
        for each in log
        if SIGNATURE in dict(each.sent_headers)
    ]
    types = {wire.decode(each.sent_value).type for _, each in signed}
    # No order here is paid at a provider.
    assert types - PEOPLE == {each.type for each in INTERNAL} - {"StepAnswered"}
    for (topic, partition), each in signed:
        shop.append(Outgoing(topic, each.sent_key, each.sent_value, partition, each.sent_headers))
    shop.run()
    assert {place: tables.bytes for place, tables in shop.tables.items()} == before
    found = shop.audit()
    assert (found.breaches, found.figures["I8"]["dead letters not_signed"]) == ([], 0)


def test_an_audit_without_the_settings_of_the_workers_says_so_and_tells_of_no_breach(
    shop: AuditWorld,
) -> None:
    shop.run(*INTERNAL)
    shop.settings = replace(shop.settings, signing_keys_file="", signed_since="")
    with pytest.raises(CannotTell, match="SAGA_SIGNED_SINCE is not set here"):
        shop.audit()
    with pytest.raises(CannotTell, match="SAGA_SIGNED_SINCE is not set here"):
        shop.audit(at=AsOf(offset=Offset(99)))


def test_a_forged_letter_about_signatures_that_nobody_has_ever_needed_is_a_breach_and_stops_no_audit(
    world: AuditWorld,
) -> None:
    world.run(bought("o1"))
    place = (topics.CHECKOUT, topics.partition_of("o1", PARTITIONS))
    taken = Message(Offset(0), 0, b"o1", b"{}")
    world.append(dead_letter(*place, taken, Rejected(Fault.NOT_SIGNED, "forged")))
    with pytest.raises(CannotTell, match="SAGA_SIGNED_SINCE=never"):
        world.audit()
    world.settings = replace(world.settings, signed_since="never")
    assert broken(world) == ["I8"]


def test_a_worker_that_takes_a_forged_record_is_a_breach(shop: AuditWorld) -> None:
    """A positive control: one worker was started without SAGA_SIGNED_SINCE."""
    required = shop.settings
    shop.settings = replace(required, signed_since="")
    shop.run(INTERNAL[3])
    shop.settings = required
    assert broken(shop) == ["I6", "I7", "I9"]


def test_signatures_that_are_switched_on_in_the_middle_of_the_inboxes_are_required_from_their_time_on(
    world: AuditWorld, tmp_path: Path
) -> None:
    """Nobody signs, then all sign, then all must: Kafka's time of each record decides, for workers and audits."""
    off, checkpoints = world.settings, tmp_path / "checkpoints"
    world.run(delivery("d1", mug=10), deposit("d1")).run(bought("before"))
    keys = str(key_file(tmp_path))
    world.settings = replace(off, signing_keys_file=keys)
    assert world.run(bought("between")).checkpointed(checkpoints).breaches == []
    world.settings = replace(world.settings, signed_since=written(world.now + 1))
    world.run(bought("after"), *INTERNAL)
    assert figures(world, "I8")["dead letters not_signed"] == len(INTERNAL)
    assert broken(world) == []
    assert world.checkpointed(checkpoints).breaches == []
    orders = world.tables[topics.CHECKOUT, topics.partition_of("before", PARTITIONS)]
    assert orders.order("before") is not None
