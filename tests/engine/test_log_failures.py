"""A record that cannot be appended ends the round, and a round that fails ends the process: nothing is acknowledged.

It answers these faults of stock Faust:

- failed sends are only logged, and the source offset is committed all the same (`docs/reference/faust.md#a10`),
- a handler that fails acknowledges its record (`docs/reference/faust.md#a1`, faust#189, faust#315).
"""

import asyncio
from pathlib import Path
from typing import Any, NoReturn

import pytest
from faust.types import TP
from faust.types.tuples import FutureMessage, PendingMessage

from agents import payment
from saga_app import topics
from saga_app.core.errors import RowsMissing
from saga_app.core.numbers import Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.log import KafkaLog
from saga_app.engine.ports import Batches, DeliveryFailed, DeliveryTimedOut
from saga_app.kafka.messages import Batch, Fetch, Outgoing
from saga_app.local.broker import Broker
from tests.engine.appending import GENERATION, held, in_a_loop
from tests.engine.faust.parts import (
    NO_BROKER,
    make_topics,
    message,
    our_app,
    stock_app,
    stock_consumer,
    unique,
    until,
)
from tests.support.assigned import hold


@pytest.mark.live
@pytest.mark.parametrize("partition", [0, None])
@in_a_loop
async def test_an_append_fails_where_the_broker_refuses_a_record(
    log: KafkaLog, kafka: Broker, partition: int | None
) -> None:
    topic, large = unique("small"), bytes(1_500_000)
    make_topics(kafka.address, topic, config={"max.message.bytes": str(1024 * 1024)})
    with pytest.raises(DeliveryFailed, match=f"{topic}.*(too large|MSG_SIZE)"):
        await log.append(
            [Outgoing(topic, b"k", b"v", partition), Outgoing(topic, b"k", large, partition)], GENERATION
        )


@pytest.mark.live
@in_a_loop
async def test_an_append_fails_where_a_record_is_too_large_for_any_topic(log: KafkaLog, topic: str) -> None:
    with pytest.raises(DeliveryFailed, match=topic):
        await log.append([Outgoing(topic, b"k", bytes(3_000_000), 0)], GENERATION)


@pytest.mark.live
@in_a_loop
async def test_an_append_fails_where_there_is_no_such_partition(log: KafkaLog, topic: str) -> None:
    with pytest.raises(DeliveryFailed, match=topic):
        await log.append([Outgoing(topic, b"k", b"v", 7)], GENERATION)


@pytest.mark.live
@in_a_loop
async def test_an_append_fails_where_a_record_with_headers_cannot_be_sent(log: KafkaLog, topic: str) -> None:
    with pytest.raises(DeliveryFailed, match=topic):
        await log.append([Outgoing(topic, b"k", bytes(3_000_000), 0, headers=(("h", b"1"),))], GENERATION)


@in_a_loop
async def test_an_append_fails_within_its_time_where_there_is_no_broker() -> None:
    log = KafkaLog({"bootstrap.servers": NO_BROKER}, 0.3, held(), 2)
    async with asyncio.timeout(5):
        with pytest.raises(DeliveryTimedOut, match=r"t: not written within 0.3 s: .*127\.0\.0\.1"):
            await log.append([Outgoing("t", b"k", b"v", 0)], GENERATION)
    await log.close()


class FailedSend:
    """A channel and a future as Faust's producer knows them, for a record that was not taken."""

    def __init__(self, app: Any, topic: str) -> None:
        self.channel = app.topic(topic)
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.result.set_exception(TimeoutError("the broker did not take it"))
        self.message = FutureMessage(
            PendingMessage(self.channel, b"k", b"v", None, 0, None, None, None, None, None)
        )

    def published(self) -> None:
        self.channel._on_published(self.result, self.message, producer=None, state=0.0)


@in_a_loop
async def test_stock_faust_commits_the_source_of_a_record_that_was_not_taken(tmp_path: Path) -> None:
    app, place = stock_app(tmp_path), TP("inbox", 0)
    consumer, commits = stock_consumer(app, place)
    failed = FailedSend(app, "outbox")
    failed.published()
    consumer.ack(message(place, 7))
    await consumer.commit()
    assert commits == [{place: 8}]
    assert failed.message.exception() is not None, "only who awaits the message's future hears of it"


@in_a_loop
async def test_stock_faust_returns_from_a_send_before_the_broker_has_the_record(tmp_path: Path) -> None:
    app = stock_app(tmp_path)
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def send(*record: Any, **options: Any) -> Any:
        return never

    async def started() -> Any:
        return app.producer

    app.producer.send = send
    app.maybe_start_producer = started
    sent = await app.topic("outbox").send(key=b"k", value=b"v")
    assert not sent.done()
    never.cancel()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeliveryFailed("t"), Exit.ROUND_FAILED),
        (ZeroDivisionError(), Exit.ROUND_FAILED),
        (RowsMissing("accounts"), Exit.ROWS_MISSING),
    ],
)
@in_a_loop
async def test_a_round_that_fails_ends_the_process_and_nothing_is_durable(
    tmp_path: Path, error: Exception, code: Exit
) -> None:
    engine = our_app(tmp_path).engine
    engine.store_manager.folder.mkdir(parents=True)

    class Failing:
        def decide(self, batches: Fetch) -> NoReturn:
            raise error

    buffer = engine.buffers[topics.PAYMENT]
    hold(engine.assignment, GENERATION)
    buffer.open({0: Offset(5)})
    buffer.deliver(Batch(0, Offset(5), Offset(6), GENERATION, []))
    engine.rounds = {topics.PAYMENT: Failing()}  # type: ignore[dict-item]
    with pytest.raises(Fatal) as ended:
        await engine._listen(topics.PAYMENT, payment.listen, buffer)
    assert ended.value.exit is code
    assert engine.durable[topics.PAYMENT, 0] == 5


@in_a_loop
async def test_an_agent_that_ends_ends_the_process(tmp_path: Path) -> None:
    engine = our_app(tmp_path).engine
    engine.rounds = {topics.PAYMENT: None}  # type: ignore[dict-item]

    async def listen(inbox: Batches, rounds: object) -> None:
        """An agent whose author left the loop."""

    agent = engine.agent(topics.PAYMENT, listen)
    with pytest.raises(AssertionError, match="has ended"):
        await agent(engine.buffers[topics.PAYMENT])
    assert agent.__doc__ == listen.__doc__, "`faust agents` shows it"


@in_a_loop
async def test_stock_faust_acknowledges_the_record_whose_handler_failed(tmp_path: Path) -> None:
    app, place = stock_app(tmp_path), TP("inbox", 0)
    consumer, commits = stock_consumer(app, place)
    app.flow_control.resume()
    channel = app.topic("inbox", value_type=bytes, value_serializer="raw")
    stream = channel.stream()
    record = message(place, 7)
    record.incref()
    consumer.track_message(record)

    async def handler() -> None:
        async for _ in stream:
            raise ZeroDivisionError

    async def started() -> bool:
        return False

    stream.maybe_start = started
    await stream.channel.put(await channel.decode(record))
    with pytest.raises(ZeroDivisionError):
        await handler()
    await until(lambda: record.acked)
    await consumer.commit()
    assert commits == [{place: 8}]
