"""A request that is sent again appends nothing twice.

It answers a fault of stock Faust (`docs/reference/faust.md#a20`).
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from confluent_kafka import KafkaError
from faust.transport.drivers.aiokafka import Producer as StockProducer

from saga_app.core.numbers import Offset
from saga_app.engine.log import KafkaLog
from saga_app.engine.ports import DeliveryFailed, DeliveryTimedOut
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.produce import BatchResult
from saga_app.local.broker import Broker
from tests.engine.appending import GENERATION, Answers, in_a_loop
from tests.engine.faust.parts import (
    everything,
    stock_app,
)


def code(error: int) -> Callable[[BatchResult], BatchResult]:
    return lambda result: BatchResult(error, Offset(-1))


def broken(result: BatchResult) -> NoReturn:
    raise ConnectionResetError("the answer is lost")


@pytest.mark.live
@pytest.mark.parametrize(
    "change",
    [broken, code(KafkaError.NOT_LEADER_FOR_PARTITION), code(KafkaError.REQUEST_TIMED_OUT)],
)
@in_a_loop
async def test_a_request_that_is_sent_again_appends_nothing_twice(
    log: KafkaLog, topic: str, kafka: Broker, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    """The broker has it, and we cannot know: sent again with the same numbers, it has the same offsets."""
    await log.append([Outgoing(topic, b"k", b"first", at) for at in (0, 1)], GENERATION)
    answers = Answers(monkeypatch, change, change)
    records = [Outgoing(topic, b"k", b"%d" % at, at % 2) for at in range(6)]
    later = [Outgoing(topic, b"k", b"later", 0)]
    told = [*await asyncio.gather(log.append(records, GENERATION), log.append(later, GENERATION))]
    assert told == [{(topic, 0): [1, 2, 3], (topic, 1): [1, 2, 3]}, {(topic, 0): [4]}]
    assert answers.seen == 4
    there = await asyncio.to_thread(everything, kafka.address, topic, 2)
    assert [each.value() for each in there if each.partition() == 0] == [b"first", b"0", b"2", b"4", b"later"]


@pytest.mark.live
@in_a_loop
async def test_a_duplicate_without_an_offset_is_written_and_has_no_place(
    log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's *reached* then stays where it is."""
    record = [Outgoing(topic, b"k", b"v", 0)]
    await log.append(record, GENERATION)
    Answers(monkeypatch, code(KafkaError.DUPLICATE_SEQUENCE_NUMBER))
    assert await log.append(record, GENERATION) == {}
    assert await log.append(record, GENERATION) == {(topic, 0): [2]}


@pytest.mark.live
@pytest.mark.parametrize(
    "error",
    [
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
        KafkaError.UNKNOWN_PRODUCER_ID,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    ],
)
@in_a_loop
async def test_an_append_fails_at_once_where_nobody_can_say_that_it_is_written_once(
    log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    await log.append([Outgoing(topic, b"k", b"v", 0)], GENERATION)
    answers = Answers(monkeypatch, code(error))
    with pytest.raises(DeliveryFailed, match=topic) as failed:
        await log.append([Outgoing(topic, b"k", b"v", 0)], GENERATION)
    assert not isinstance(failed.value, DeliveryTimedOut) and answers.seen == 1
    lacks_acl = "lacks an ACL" in str(failed.value)
    assert lacks_acl == (error == KafkaError.TOPIC_AUTHORIZATION_FAILED)


@pytest.mark.live
@in_a_loop
async def test_after_an_append_that_failed_the_log_goes_on_as_another_producer(
    log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer sends again what timed out; numbers that were used for another batch would hide the new one."""
    record = [Outgoing(topic, b"k", b"v", 0)]
    await log.append(record, GENERATION)
    first = log._producer._identity
    Answers(monkeypatch, code(KafkaError.UNKNOWN_PRODUCER_ID))
    with pytest.raises(DeliveryFailed):
        await log.append(record, GENERATION)
    assert await log.append(record, GENERATION) == {(topic, 0): [2]}
    assert first is not None and log._producer._identity not in (None, first)


@pytest.mark.live
@pytest.mark.parametrize("change", [broken, code(KafkaError.NOT_LEADER_FOR_PARTITION)])
@in_a_loop
async def test_a_record_is_given_up_within_the_time_that_the_lease_counts_with(
    log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    log._timeout = 0.5
    Answers(monkeypatch, *[change] * 100)
    with pytest.raises(DeliveryTimedOut, match=f"{topic}: not written within 0.5 s: .*(closed|Not leader)"):
        await log.append([Outgoing(topic, b"k", b"v", 0)], GENERATION)


@in_a_loop
async def test_stock_faust_may_append_twice_where_a_request_is_sent_again(tmp_path: Path) -> None:
    producer: StockProducer = stock_app(tmp_path).producer
    settings = {**producer._settings_default(), **producer._settings_auth(), **producer._settings_extra()}
    assert not settings.get("enable_idempotence", False)
    assert settings["request_timeout_ms"] == 1_200_000, "and goes on trying for 20 minutes"
