"""Signatures: which records need one, and for what it counts."""

from pathlib import Path

import pytest

from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.core.records import Record
from saga_app.kafka.headers import SENT_ON
from saga_app.kafka.messages import Message, Outgoing, outgoing
from saga_app.kafka.signatures import SIGNATURE, Signatures
from tests.support.examples import limit, order, pay, placed, refund
from tests.support.given import BEGINNING
from tests.support.signing import EVERY_TYPE, INTERNAL, NEW, OLD, PEOPLE, signatures, written

MARK = (SENT_ON, b"1")


@pytest.fixture
def ours(tmp_path: Path) -> Signatures:
    return signatures(tmp_path)


def refused(by: Signatures, record: Record, message: Message, topic: str, partition: int = 0) -> str | None:
    """The reason why the record is not taken."""
    try:
        by.require(record, message, topic, partition)
    except Rejected as rejection:
        return f"{rejection}".removeprefix(f"{Fault.NOT_SIGNED}: ")
    return None


def test_there_is_an_example_of_each_type_of_record() -> None:
    assert {type(each) for each in EVERY_TYPE} == set(Record.__args__)


@pytest.mark.parametrize("record", EVERY_TYPE, ids=lambda record: record.type)
def test_each_type_needs_a_signature_unless_people_send_it(ours: Signatures, record: Record) -> None:
    """A new type needs one without a line of code: only those that people send are named."""
    unsigned = written(record, None)
    assert (refused(ours, record, unsigned, topics.topic_of(record)) is None) is (record.type in PEOPLE)


@pytest.mark.parametrize("record", INTERNAL, ids=lambda record: f"{record.type} {topics.topic_of(record)}")
def test_each_type_is_taken_if_a_service_signed_it(ours: Signatures, record: Record) -> None:
    assert refused(ours, record, written(record, ours), topics.topic_of(record)) is None


@pytest.mark.parametrize("record", [placed(), limit("p", "1.00")], ids=lambda record: record.type)
def test_a_record_of_people_with_the_mark_of_a_record_that_was_sent_on_needs_a_signature(
    ours: Signatures, record: Record
) -> None:
    """Only workers send on: else anybody could change the policy of one partition alone."""
    marked = outgoing(record)._replace(headers=(MARK,))
    assert refused(ours, record, written(marked, None), marked.topic)
    assert refused(ours, record, written(marked, ours), marked.topic) is None


def test_a_signature_counts_for_its_topic_partition_key_value_and_mark_only(ours: Signatures) -> None:
    record = pay(order("o1"))
    message = written(record, ours)
    other = written(pay(order("o2")), None)
    assert refused(ours, record, message, topics.PAYMENT) is None
    assert refused(ours, record, message, topics.PAYMENT, partition=1)
    assert refused(ours, record, message, topics.INVENTORY)
    assert refused(ours, record, message._replace(key=b"o2"), topics.PAYMENT)
    assert refused(ours, record, message._replace(key=None), topics.PAYMENT)
    assert refused(ours, record, message._replace(value=other.value), topics.PAYMENT)
    assert refused(ours, record, message._replace(headers=(*message.headers, MARK)), topics.PAYMENT)


def test_bytes_cannot_move_from_the_key_into_the_value(ours: Signatures) -> None:
    one, other = Outgoing(topics.PAYMENT, b"ab", b"c", 0), Outgoing(topics.PAYMENT, b"a", b"bc", 0)
    nothing, empty = Outgoing(topics.PAYMENT, None, b"c", 0), Outgoing(topics.PAYMENT, b"", b"c", 0)
    assert len({tuple(ours.signed(each, 0)) for each in (one, other, nothing, empty)}) == 4


def test_an_offset_and_other_headers_are_not_signed(ours: Signatures) -> None:
    """`saga advance` writes a record again in its partition, and traces are added on the way."""
    record = pay(order("o1"))
    message = written(record, ours)
    later = message._replace(
        offset=Offset(99), time=message.time + 5, headers=(("trace", b"1"), *message.headers)
    )
    assert refused(ours, record, later, topics.PAYMENT) is None


@pytest.mark.parametrize("value", [None, b"", b"new", b"new:", b":", b"\xff:\xff", b"new:AAAA", b"x" * 500])
def test_garbage_is_no_signature(ours: Signatures, value: bytes | None) -> None:
    record = refund(order("o1"))
    message = written(record, None)._replace(headers=((SIGNATURE, value),))
    assert refused(ours, record, message, topics.PAYMENT)


def test_of_several_signatures_the_last_one_counts_and_a_worker_writes_one(ours: Signatures) -> None:
    record = pay(order("o1"))
    good = written(record, ours)
    forged = (SIGNATURE, b"new:forged")
    assert refused(ours, record, good._replace(headers=(forged, *good.headers)), topics.PAYMENT) is None
    assert refused(ours, record, good._replace(headers=(*good.headers, forged)), topics.PAYMENT)
    again = outgoing(record)._replace(headers=(forged, ("trace", b"1")))
    assert [name for name, _ in ours.signed(again, 0)] == ["trace", SIGNATURE]


def test_only_records_for_inboxes_are_signed(ours: Signatures) -> None:
    for topic in (topics.DEAD_LETTERS, topics.changelog("saga", "payments")):
        assert ours.signed(Outgoing(topic, b"k", b"v", 0), 0) == ()


def test_keys_are_changed_without_a_gap(tmp_path: Path) -> None:
    """First all know the new key, then all sign with it, and then the old one has its end."""
    record = pay(order("o1"))
    before, both = signatures(tmp_path, OLD), signatures(tmp_path, OLD, NEW)
    now, after = signatures(tmp_path, NEW, OLD), signatures(tmp_path, NEW)
    for writer, readers in (
        (before, (before, both, now)),
        (both, (before, both, now)),
        (now, (both, now, after)),
    ):
        for reader in readers:
            assert refused(reader, record, written(record, writer), topics.PAYMENT) is None
    assert "does not have its key" in str(refused(after, record, written(record, before), topics.PAYMENT))


def test_a_key_signs_nothing_that_comes_at_its_end_or_later(tmp_path: Path) -> None:
    record = pay(order("o1"))
    ended = signatures(tmp_path, NEW, f"{OLD} 2023-11-14T22:13:20.005")
    message = written(record, signatures(tmp_path, OLD))
    assert refused(ended, record, message._replace(time=BEGINNING + 4), topics.PAYMENT) is None
    assert "had its end" in str(refused(ended, record, message._replace(time=BEGINNING + 5), topics.PAYMENT))


def test_records_from_before_the_time_need_no_signature(tmp_path: Path) -> None:
    """The verdict depends on Kafka's time of the record, not on when a worker or an audit reads it."""
    record = refund(order("o1"))
    message = written(record, None)
    span = signatures(tmp_path, since="2023-11-14T22:13:20.002/2023-11-14T22:13:20.004")
    found = [
        refused(span, record, message._replace(time=BEGINNING + each), topics.PAYMENT) is None
        for each in range(6)
    ]
    assert found == [True, True, False, False, True, True]
    assert refused(signatures(tmp_path, since=""), record, message, topics.PAYMENT) is None
