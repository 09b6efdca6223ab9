"""A forged record is a dead letter and has no effect; a copy of a signed one has none either."""

from pathlib import Path

import pytest

from saga_app import topics, wire
from saga_app.core.records import Record
from saga_app.kafka.headers import SENT_ON
from saga_app.kafka.messages import Outgoing, outgoing
from saga_app.kafka.signatures import SIGNATURE
from tests.support.examples import deposit, limit, order, pay, placed
from tests.support.memory import MemoryBroker, MemoryWorker
from tests.support.plan import DECIDERS
from tests.support.signing import INTERNAL, signatures, written


def signing_worker(topic: str, folder: Path, partitions: int = 1, partition: int = 0) -> MemoryWorker:
    """A worker that requires signatures."""
    started = MemoryWorker(MemoryBroker(partitions), topic, DECIDERS[topic], partition=partition)
    started.start()
    started.round.signatures = signatures(folder)
    return started


def reasons(of: MemoryWorker) -> list[bytes | None]:
    return [dict(each.headers)["saga-reason"] for each in of.broker.topic("dead_letters")]


@pytest.mark.parametrize("record", INTERNAL, ids=lambda record: f"{record.type} {topics.topic_of(record)}")
def test_a_forged_record_of_each_type_is_a_dead_letter_and_changes_nothing(
    record: Record, tmp_path: Path
) -> None:
    topic = topics.topic_of(record)
    of = signing_worker(topic, tmp_path)
    of.run([written(record, None)])
    assert reasons(of) == [b"not_signed"]
    assert [each.topic for each in of.broker.sent] == ["dead_letters"]
    assert (of.rows.journal, of.rows.balances, of.position) == ({}, {}, 1)


def test_a_forged_record_does_not_hold_up_its_neighbours(tmp_path: Path) -> None:
    of, ours = signing_worker(topics.PAYMENT, tmp_path), signatures(tmp_path)
    of.run([written(pay(order("a")), ours), written(pay(order("b")), None, 1), written(deposit(), None, 2)])
    assert set(of.rows.journal) == {b"a", b"deposit:c1:d1"}
    assert reasons(of) == [b"not_signed"]


def test_a_forged_copy_of_a_record_that_this_worker_wrote_is_a_dead_letter(tmp_path: Path) -> None:
    """A worker does not parse what it has written itself, but it asks for the signature all the same."""
    of, record = signing_worker(topics.PAYMENT, tmp_path), pay(order("a"))
    of.round.written.keep(wire.encode(record), record)
    of.run([written(record, None)])
    assert reasons(of) == [b"not_signed"]


def test_a_forged_record_in_a_wrong_partition_is_not_sent_on(tmp_path: Path) -> None:
    """The worker would put its own signature on it."""
    right = topics.partition_of("c1", 8)
    of = signing_worker(topics.PAYMENT, tmp_path, 8, (right + 1) % 8)
    of.run([written(pay(order(customer_id="c1")), None)])
    assert reasons(of) == [b"not_signed"]
    assert of.broker.logs[topics.PAYMENT, right] == []


def test_a_forged_copy_of_a_policy_is_a_dead_letter_and_what_people_sent_is_spread(tmp_path: Path) -> None:
    of = signing_worker(topics.PAYMENT, tmp_path, 4, 1)
    policy = limit("p", "1.00")
    of.run([written(outgoing(policy)._replace(headers=((SENT_ON, b"1"),)), None), written(policy, None, 1)])
    assert reasons(of) == [b"not_signed"]
    assert len(of.broker.logs[topics.PAYMENT, topics.POLICY_PARTITION]) == 1


def test_what_people_send_to_a_wrong_partition_is_sent_on_without_the_signature_it_came_with(
    tmp_path: Path,
) -> None:
    ours, right = signatures(tmp_path), topics.partition_of("o1", 8)
    of = signing_worker(topics.CHECKOUT, tmp_path, 8, (right + 1) % 8)
    of.run([written(outgoing(placed("o1"))._replace(headers=((SIGNATURE, b"new:x"),)), None)])
    (sent,) = of.broker.logs[topics.CHECKOUT, right]
    signed = sent._replace(headers=ours.signed(sent, right))
    assert [name for name, _ in signed.headers] == [SENT_ON, SIGNATURE]
    there = signing_worker(topics.CHECKOUT, tmp_path, 8, right)
    there.run([written(signed, None)])
    assert b"o1" in there.rows.journal and reasons(there) == []


@pytest.mark.parametrize("record", INTERNAL, ids=lambda record: f"{record.type} {topics.topic_of(record)}")
def test_a_signed_record_in_another_partition_is_a_dead_letter(record: Record, tmp_path: Path) -> None:
    topic, ours = topics.topic_of(record), signatures(tmp_path)
    of = signing_worker(topic, tmp_path, 8, 5)
    sent: Outgoing = outgoing(record)
    of.run([written(sent._replace(headers=ours.signed(sent, 3)), None)])
    assert reasons(of) == [b"not_signed"]
