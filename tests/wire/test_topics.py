"""Topics: the partition of a record follows from what is in it."""

from datetime import timedelta

import pytest

from saga_app import topics
from saga_app.core.records import Record
from tests.support.examples import (
    call_off,
    cancel,
    cancelled,
    completed,
    countries,
    deadline,
    delivery,
    deposit,
    limit,
    order,
    pay,
    placed,
    refund,
    release,
    reserve,
    ship,
)

WHOLE = order("o1", customer_id="c1", lines=[("a", 1)], warehouse="w1")
BARE = order("o1", warehouse="w1")


@pytest.mark.parametrize(
    ("record", "topic", "key"),
    [
        (placed(customer_id="c1"), "checkout_events", "o1"),
        (cancel(), "checkout_events", "o1"),
        (deadline(), "checkout_events", "o1"),
        (completed(), "checkout_events", "o1"),
        (cancelled(), "checkout_events", "o1"),
        (pay(WHOLE), "payment_events", "c1"),
        (refund(WHOLE), "payment_events", "c1"),
        (pay(BARE), "payment_events", "o1"),
        (refund(BARE), "payment_events", "o1"),
        (deposit(), "payment_events", "c1"),
        (limit("p", "1.00"), "payment_events", "p"),
        (reserve(WHOLE), "inventory_events", "w1"),
        (release(WHOLE), "inventory_events", "w1"),
        (reserve(BARE), "inventory_events", "o1"),
        (release(BARE), "inventory_events", "o1"),
        (delivery("d", "w1", a=1), "inventory_events", "w1"),
        (ship(WHOLE), "shipping_events", "o1"),
        (call_off(WHOLE), "shipping_events", "o1"),
        (countries("p", "GB"), "shipping_events", "p"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.type,
)
def test_every_record_has_its_inbox_and_its_key(record: Record, topic: str, key: str) -> None:
    assert (topics.topic_of(record), topics.key_of(record)) == (topic, key)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
@pytest.mark.parametrize("partitions", [1, 3, 8, 12])
def test_the_partition_is_murmur2_as_in_the_java_clients(key: str, hashed: int, partitions: int) -> None:
    """Hashes from Apache Kafka's own test (UtilsTest.testMurmur2)."""
    assert topics.partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions


def test_all_topics_have_the_same_number_of_partitions() -> None:
    found = topics.wanted("saga", ("orders", "payments"), 8)
    assert {topic.partitions for topic in found} == {8}
    names = {topic.name for topic in found}
    assert names == {
        *topics.INBOXES,
        "dead_letters",
        "order_outcomes",
        "saga-orders-changelog",
        "saga-payments-changelog",
    }


def test_inboxes_and_dead_letters_are_kept_for_ever_and_inboxes_have_the_brokers_time() -> None:
    found = {topic.name: topic.config for topic in topics.wanted("saga", ("orders",), 8)}
    for name in (*topics.INBOXES, topics.DEAD_LETTERS):
        assert (found[name]["retention.ms"], found[name]["retention.bytes"]) == ("-1", "-1")
    for name in topics.INBOXES:
        assert found[name]["message.timestamp.type"] == "LogAppendTime"
        assert found[name]["max.message.bytes"] == str(1024 * 1024)
    assert found["dead_letters"]["max.message.bytes"] == str(2 * 1024 * 1024)


def test_only_inboxes_are_cut_and_so_that_a_day_at_most_is_kept_longer() -> None:
    found = {
        topic.name: topic.config
        for topic in topics.wanted("saga", ("orders",), 8, inbox_retention=timedelta(days=30))
    }
    for name in topics.INBOXES:
        assert found[name]["retention.ms"] == str(30 * 24 * 3600 * 1000)
        assert found[name]["segment.ms"] == str(24 * 3600 * 1000)
    assert found[topics.DEAD_LETTERS]["retention.ms"] == "-1"
    assert "retention.ms" not in found["saga-orders-changelog"]


@pytest.mark.parametrize(("replication", "least"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_from_three_replicas_on_two_must_have_a_record(replication: int, least: str) -> None:
    found = topics.wanted("saga", ("orders",), 8, replication)
    assert {topic.replication for topic in found} == {replication}
    assert {topic.config["min.insync.replicas"] for topic in found} == {least}


def test_changelogs_are_compacted_after_a_day() -> None:
    config = topics.wanted("saga", ("orders",), 8)[-1].config
    assert config["cleanup.policy"] == "compact"
    assert config["min.compaction.lag.ms"] == str(24 * 60 * 60 * 1000)
    assert config["max.message.bytes"] == str(2 * 1024 * 1024)


def test_who_hears_outcomes_may_be_away_for_a_week() -> None:
    found = {topic.name: topic.config for topic in topics.wanted("saga", ("orders",), 8)}
    config, week = found[topics.ORDER_OUTCOMES], str(7 * 24 * 60 * 60 * 1000)
    assert config["cleanup.policy"] == "compact"
    assert config["min.compaction.lag.ms"] == config["delete.retention.ms"] == week
