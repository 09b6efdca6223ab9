"""A consumer that has lost its brokers for good is found (librdkafka#5301)."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from saga_app.kafka import liveness
from saga_app.kafka.liveness import SILENT, Liveness
from saga_app.orderdb.copy.source import SourceConsumer
from saga_app.settings import Settings

NO_BROKER = "127.0.0.1:1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeConsumer:
    """Stands for a consumer; counts how often it was asked for metadata."""

    def __init__(self, brokers: dict[int, object] | None) -> None:
        self.brokers = brokers
        self.count = 0

    def list_topics(self, topic: str, timeout: float) -> Any:
        self.count += 1
        if self.brokers is None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(brokers=self.brokers)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mine(clock: Clock) -> Liveness:
    return Liveness("checkout_events", clock)


def test_a_consumer_is_asked_only_after_it_was_silent_for_long(clock: Clock, mine: Liveness) -> None:
    asked: Any = FakeConsumer(None)
    clock.now += SILENT - 1
    assert not mine.is_cut_off(asked)
    mine.heard()
    clock.now += SILENT - 1
    assert not mine.is_cut_off(asked)
    assert asked.count == 0


@pytest.mark.parametrize(("brokers", "cut_off"), [(None, True), ({}, True), ({1: object()}, False)])
def test_a_consumer_is_cut_off_if_no_broker_answers_or_none_is_known(
    clock: Clock, mine: Liveness, brokers: dict[int, object] | None, cut_off: bool
) -> None:
    asked: Any = FakeConsumer(brokers)
    clock.now += SILENT
    assert mine.is_cut_off(asked) is cut_off
    assert not mine.is_cut_off(asked)
    assert asked.count == 1


def test_a_real_consumer_without_a_broker_is_cut_off(clock: Clock, mine: Liveness, quick: None) -> None:
    consumer = Consumer({"bootstrap.servers": NO_BROKER, "group.id": "tests", "log_level": 0})
    clock.now += SILENT
    assert mine.is_cut_off(consumer)
    consumer.close()


def test_a_feed_that_is_cut_off_says_so_instead_of_waiting_for_ever(clock: Clock, quick: None) -> None:
    feed = SourceConsumer(Settings(broker=NO_BROKER), {("checkout_events", 0): 0})
    feed._liveness = Liveness("checkout_events", clock)
    clock.now += SILENT
    with pytest.raises(KafkaException, match="no broker answers"):
        feed.fetch()
    feed.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "ANSWER", 0.3)
