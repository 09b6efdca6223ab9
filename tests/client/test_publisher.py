"""A publisher whose producer is lost: it makes a new one; and an operator log that cannot be written."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from saga_app import topics
from saga_app.client import publisher
from saga_app.client.publisher import Publisher
from saga_app.kafka.sender import DeliveryUnknown, Sent
from saga_app.settings import Settings
from tests.support.examples import placed

PLACE = Sent(topics.CHECKOUT, 0, 7)
FATAL = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
#: The error of the first producer.
FIRST: list[KafkaError | None] = [None]


class GivenMessage:
    def topic(self) -> str:
        return PLACE.topic

    def partition(self) -> int:
        return PLACE.partition

    def offset(self) -> int:
        return PLACE.offset


class GivenProducer:
    """Answers each record with the error of its maker, or delivers it."""

    def __init__(self, error: KafkaError | None) -> None:
        self.error = error
        self.is_purged = False

    def produce(self, *args: Any, headers: Any) -> None:
        args[-1](self.error, GivenMessage())

    def poll(self, seconds: float) -> None:
        pass

    def purge(self) -> None:
        self.is_purged = True

    def flush(self, seconds: float) -> None:
        pass


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[GivenProducer]:
    """The producers that were made: the first one fails with the error of the test, the others deliver."""
    made: list[GivenProducer] = []

    def make(options: Any) -> GivenProducer:
        made.append(GivenProducer(None if made else FIRST[0]))
        return made[-1]

    monkeypatch.setattr(publisher, "Producer", make)
    return made


def run(test: Callable[[Publisher], Awaitable[None]], error: KafkaError | None, **settings: Any) -> None:
    FIRST[:] = [error]

    async def begin() -> None:
        sender = Publisher(Settings(**settings))
        sender._known.add(topics.CHECKOUT)
        await test(sender)
        await sender.close()

    asyncio.run(begin())


def test_after_a_fatal_error_the_next_record_has_a_new_producer(producers: list[GivenProducer]):
    async def test(sender: Publisher) -> None:
        with pytest.raises(DeliveryUnknown):
            await sender.send(placed())
        assert await sender.send(placed()) == PLACE == await sender.send(placed())

    run(test, FATAL)
    assert len(producers) == 2


@pytest.mark.parametrize("answers", [True, False])
def test_a_producer_that_delivers_nothing_for_long_is_given_up_only_if_the_broker_answers(
    producers: list[GivenProducer], monkeypatch: pytest.MonkeyPatch, answers: bool
):
    async def test(sender: Publisher) -> None:
        for _ in range(2):
            with pytest.raises(DeliveryUnknown):
                await sender.send(placed())
        monkeypatch.setattr(publisher, "GIVEN_UP", -1.0)
        if answers:
            assert await sender.send(placed()) == PLACE
        else:
            with pytest.raises(ConnectionError):
                await sender.send(placed())

    class GivenAdmin:
        def __init__(self, settings: Settings) -> None:
            if not answers:
                raise ConnectionError

        def list_topics(self, seconds: float) -> None:
            pass

    monkeypatch.setattr(publisher, "Admin", GivenAdmin)
    monkeypatch.setattr(publisher, "require_broker", lambda settings: None)
    run(test, TIMED_OUT)
    assert len(producers) == 1 + answers


def test_a_record_that_is_delivered_is_sent_though_the_operator_log_cannot_be_written(
    producers: list[GivenProducer], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async def test(sender: Publisher) -> None:
        assert await sender.send(placed()) == PLACE

    run(test, None, operator_log=str(tmp_path))
    assert "the operator log lacks" in caplog.text
