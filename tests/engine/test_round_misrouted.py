"""The round: records in the wrong partition, and policies, which go to every partition."""

import pytest

from saga_app import topics, wire
from saga_app.core import records
from saga_app.core.decider import Verdict
from saga_app.core.records import Record, StepName
from saga_app.engine.misrouted import LARGEST
from saga_app.kafka.headers import SENT_ON
from tests.engine.rounds import in_sequence, worker
from tests.support.examples import countries, deposit, limit, order, pay, segments_closed
from tests.support.memory import message


def test_a_record_in_the_wrong_partition_is_sent_on_once() -> None:
    right = topics.partition_of("c1", 8)
    of = worker(partitions=8, partition=(right + 1) % 8)
    record = message(pay(order(customer_id="c1")), 0, key=None, headers=[("trace", b"1")])
    of.run([record])
    assert of.rows.journal == {}
    (sent,) = of.broker.logs["payment_events", right]
    assert (sent.key, sent.value) == (b"c1", record.value)
    assert list(sent.headers) == [("trace", b"1"), (SENT_ON, b"1")]
    assert of.round.verdicts == {Verdict.SENT_ON: 1}


def test_a_record_that_was_sent_on_and_is_still_wrong_is_a_dead_letter() -> None:
    right = topics.partition_of("c1", 8)
    of = worker(partitions=8, partition=(right + 1) % 8)
    of.run([message(pay(order(customer_id="c1")), 0, headers=[(SENT_ON, b"1")])])
    (dead,) = of.broker.topic("dead_letters")
    assert dict(dead.headers)["saga-reason"] == b"wrong_partition"


def test_a_record_that_was_sent_on_to_its_partition_is_decided_there() -> None:
    right = topics.partition_of("c1", 8)
    of = worker(partitions=8, partition=right)
    of.run([message(pay(order(customer_id="c1")), 0, headers=[(SENT_ON, b"1")])])
    assert b"o1" in of.rows.journal


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        (topics.CHECKOUT, records.RetentionStarted(partition=8, segment_width=1)),
        (topics.CHECKOUT, records.RetentionStarted(partition=10**12, segment_width=1)),
        (topics.CHECKOUT, segments_closed(0, 1)),
        (
            topics.PAYMENT,
            records.OrdersEvicted(
                partition=9,
                step=StepName.PAYMENT,
                checkout_partition=0,
                first_segment=0,
                below_segment=1,
                order_ids=(),
            ),
        ),
    ],
)
def test_a_record_that_was_made_for_other_partitions_than_there_are_is_a_dead_letter(
    topic: str, record: Record
) -> None:
    """Sent on, it would end the worker, again and again."""
    of = worker(topic, partitions=8)
    of.run([message(record, 0)])
    assert of.round.verdicts == {Verdict.DEAD: 1}


def test_a_record_in_the_wrong_partition_that_is_too_large_with_the_mark_is_a_dead_letter() -> None:
    of = worker(partitions=8)
    of.run([message(deposit(), 0, headers=[("big", b"x" * LARGEST)])])
    assert [dict(each.headers)["saga-reason"] for each in of.broker.topic("dead_letters")] == [b"too_large"]


def test_the_key_that_a_record_was_sent_with_does_not_matter() -> None:
    of = worker(partitions=8, partition=topics.partition_of("c1", 8))
    of.run([message(deposit(), 0, key=b"something else"), message(deposit("d2"), 1, key=None)])
    assert set(of.rows.journal) == {b"deposit:c1:d1", b"deposit:c1:d2"}


@pytest.mark.parametrize(
    ("topic", "policy"), [(topics.PAYMENT, limit("p", "1.00")), (topics.SHIPPING, countries("p", "FR"))]
)
def test_a_policy_is_sent_to_every_other_partition_from_the_first_one(topic: str, policy: Record) -> None:
    of = worker(topic, 8, topics.POLICY_PARTITION)
    of.run([message(policy, 0, headers=[("trace", b"1")])])
    assert set(of.rows.journal) == {b"policy:p"}
    for partition in range(1, 8):
        (copy,) = of.broker.logs[topic, partition]
        assert (copy.key, copy.value) == (b"p", wire.encode(policy))
        assert list(copy.headers) == [("trace", b"1"), (SENT_ON, b"1")]
    assert not of.broker.logs[topic, topics.POLICY_PARTITION]


@pytest.mark.parametrize("partition", range(1, 8))
def test_a_policy_in_another_partition_goes_to_the_first_one_and_its_copy_goes_nowhere(
    partition: int,
) -> None:
    policy = limit("p", "1.00")
    of = worker(partitions=8, partition=partition)
    of.run([message(policy, 0)])
    assert of.rows.journal == {}
    (sent,) = of.broker.topic(topics.PAYMENT)
    assert of.broker.logs[topics.PAYMENT, topics.POLICY_PARTITION] == [sent]
    copy = worker(partitions=8, partition=partition)
    copy.run([message(policy, 0, headers=sent.headers)])
    assert set(copy.rows.journal) == {b"policy:p"}
    assert not copy.broker.topic(topics.PAYMENT)


def test_a_policy_that_is_known_is_sent_to_every_other_partition_again() -> None:
    """A crash may have come before the copies were sent."""
    of = worker(partitions=3)
    of.run([message(limit("p", "1.00"), 0), message(limit("p", "1.00"), 1, headers=[(SENT_ON, b"1")])])
    assert [len(of.broker.logs[topics.PAYMENT, each]) for each in (1, 2)] == [2, 2]
    assert [len(copy.headers) for copy in of.broker.logs[topics.PAYMENT, 1]] == [1, 1]


def test_a_policy_with_another_content_is_a_dead_letter_and_goes_nowhere() -> None:
    of = worker(partitions=3)
    of.run(in_sequence(limit("p", "1.00"), limit("p", "2.00")))
    assert [len(of.broker.logs[topics.PAYMENT, each]) for each in (1, 2)] == [1, 1]
    assert len(of.broker.topic("dead_letters")) == 1
