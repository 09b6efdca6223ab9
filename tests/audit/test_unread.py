"""Offsets that hold nothing, and partitions that nobody reads: an audit does not say that everything holds."""

import os

import pytest

from saga_app import topics
from saga_app.audit.cuts import FEW, CannotTell, Limits
from saga_app.audit.findings import Breach
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.records import Record
from saga_app.kafka import offsets
from saga_app.kafka.messages import Outgoing, Place
from tests.audit.reading import figures
from tests.audit.world import PARTITIONS, AuditWorld
from tests.support.examples import deposit

PLACE: Place = (topics.PAYMENT, topics.partition_of("c1", PARTITIONS))


@pytest.fixture
def bank(world: AuditWorld) -> AuditWorld:
    """Deposits of one customer, of which none is decided yet."""
    deposits: list[Record] = [deposit(f"d{number}", "10.00") for number in range(4)]
    for each in deposits:
        world.send(each)
    return world


def test_few_records_are_read_by_one_process_unless_somebody_wants_more() -> None:
    few = Limits({PLACE: FIRST}, {PLACE: FIRST}, {}, {PLACE: Offset(FEW - 1)}, {})
    assert (few.processes(None), few.processes(3)) == (1, 3)
    many = few._replace(end={PLACE: Offset(FEW)})
    assert (many.processes(None), many.processes(1)) == (os.cpu_count() or 1, 1)


def found(world: AuditWorld) -> list[Breach]:
    return [breach for breach in world.breaches() if breach.invariant == "I8"]


def test_the_marker_of_a_transaction_is_a_gap_and_no_breach(bank: AuditWorld) -> None:
    second = bank.logs[PLACE][1]
    bank.markers[PLACE] = {second.at}
    bank.remove(PLACE, second)
    assert bank.run().breaches() == []
    assert figures(bank, "I8")["gaps"] == 1


def test_records_that_compaction_took_are_a_breach_with_place_and_number(bank: AuditWorld) -> None:
    for each in bank.logs[PLACE][1:3]:
        bank.remove(PLACE, each)
    (breach,) = found(bank.run())
    assert (breach.place, breach.offset) == (PLACE, 1)
    assert breach.what.startswith("2 records from here on are gone: cleanup.policy is or was compact")
    assert figures(bank, "I8")["records missing"] == 2


def test_compaction_is_found_where_the_beginning_is_cut_too(bank: AuditWorld) -> None:
    bank.run()
    bank.keep_from(PLACE, 1)
    bank.remove(PLACE, bank.logs[PLACE][1])
    (breach,) = found(bank)
    assert (breach.place, breach.offset) == (PLACE, 2)


@pytest.mark.parametrize("topic", [topics.PAYMENT, topics.DEAD_LETTERS, "saga-accounts-changelog"])
def test_records_in_an_added_partition_are_a_breach_with_place_and_number(
    bank: AuditWorld, topic: str
) -> None:
    bank.added.add(topic)
    bank.append(Outgoing(topic, b"k", b"{}", PARTITIONS))
    (breach,) = found(bank.run())
    assert breach.place == (topic, PARTITIONS)
    assert breach.what.startswith("1 records in a partition that was added, and that no worker reads")


def test_an_added_partition_without_records_is_told(bank: AuditWorld) -> None:
    bank.added.add(topics.PAYMENT)
    findings = bank.run().audit()
    assert findings.holds and not findings.is_whole
    assert list(findings.unchecked["I8"]) == [
        f"payment_events[{PARTITIONS}] was added, and no worker will read it"
    ]


def test_fewer_partitions_than_the_settings_say_are_no_traceback(
    bank: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "partition_counts", lambda admin, names: dict.fromkeys(names, 1))
    with pytest.raises(
        CannotTell, match=f"checkout_events has 1 partitions, not {PARTITIONS}; SAGA_PARTITIONS"
    ):
        bank.audit()
