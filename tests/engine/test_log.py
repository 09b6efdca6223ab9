"""The log: what a round sends is in the broker's log, or the process ends.

Answers these faults of stock Faust:

- failed sends are only logged, and the source offset is committed all the same (`docs/reference/faust.md#a10`),
- a handler that fails acknowledges its record (`docs/reference/faust.md#a1`, faust#189, faust#315),
- a send returns too early (`docs/reference/faust.md#a18`, faust#393),
- a request that is sent again appends twice (`docs/reference/faust.md#a20`).
"""

import asyncio
import functools
import gc
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiokafka.conn import AIOKafkaConnection
from confluent_kafka import KafkaError
from faust.transport.drivers.aiokafka import Producer as StockProducer
from faust.types import TP
from faust.types.tuples import FutureMessage, PendingMessage

from agents import payment
from saga_app import topics
from saga_app.core.errors import RowsMissing
from saga_app.core.numbers import Generation, Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.lease import Lease
from saga_app.engine.log import KafkaLog
from saga_app.engine.ports import Batches, DeliveryFailed, DeliveryTimedOut
from saga_app.kafka.idempotent import IdempotentProducer
from saga_app.kafka.messages import Batch, Fetch, Outgoing, Place
from saga_app.kafka.produce import BatchResult, ProduceRequest, ProduceResponse
from saga_app.local.broker import Broker
from tests.engine.faust import parts
from tests.engine.faust.parts import (
    NO_BROKER,
    everything,
    make_topics,
    message,
    our_app,
    stock_app,
    stock_consumer,
    unique,
    until,
)
from tests.support.assigned import hold, holding

GENERATION = Generation(3)


def held() -> Lease:
    """A lease that holds."""
    lease = Lease(8, 4, holding(GENERATION))
    lease.follow(lambda: GENERATION)
    lease.renew(GENERATION, float("inf"))
    return lease


def in_a_loop(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """As everywhere; the log is closed before the loop is."""

    @functools.wraps(scenario)
    async def closing(**given: Any) -> None:
        try:
            await scenario(**given)
        finally:
            if "log" in given:
                await given["log"].close()

    return parts.in_a_loop(closing)


def log_at(address: str, lease: Lease | None = None) -> KafkaLog:
    return KafkaLog({"bootstrap.servers": address}, 4, held() if lease is None else lease, 2)


@pytest.fixture
def log(kafka: Broker) -> KafkaLog:
    return log_at(kafka.address)


@pytest.fixture
def topic(kafka: Broker) -> str:
    name = unique("log")
    make_topics(kafka.address, name, partitions=2)
    return name


# --- what is appended


@pytest.mark.live
@in_a_loop
async def test_an_append_tells_the_offsets_of_each_place_in_the_order_written(
    log: KafkaLog, topic: str
) -> None:
    places = [0, 1, 0, 0, 1]
    records = [Outgoing(topic, b"k", b"%d" % at, partition) for at, partition in enumerate(places)]
    assert await log.append(records, GENERATION) == {(topic, 0): [0, 1, 2], (topic, 1): [0, 1]}
    assert await log.append(records, GENERATION) == {(topic, 0): [3, 4, 5], (topic, 1): [2, 3]}


@pytest.mark.live
@in_a_loop
async def test_an_append_tells_the_offsets_of_records_that_name_no_partition_too(
    log: KafkaLog, topic: str, kafka: Broker
) -> None:
    records = [Outgoing(topic, b"k", b"v"), Outgoing(topic, b"k", b"v", 0), Outgoing(topic, b"k", b"v")]
    offsets = await log.append(records, GENERATION)
    there = await asyncio.to_thread(everything, kafka.address, topic, 2)
    assert sorted((topic, each.partition(), each.offset()) for each in there) == sorted(
        (*place, offset) for place, found in offsets.items() for offset in found
    )


@pytest.mark.live
@in_a_loop
async def test_an_append_is_over_when_the_broker_has_every_record(
    log: KafkaLog, topic: str, kafka: Broker
) -> None:
    records = [Outgoing(topic, b"k", b"%d" % at, 0) for at in range(3000)]
    assert await log.append(records, GENERATION) == {(topic, 0): list(range(3000))}
    there = await asyncio.to_thread(everything, kafka.address, topic, 2)
    assert [each.value() for each in there] == [record.value for record in records]


@pytest.mark.live
@in_a_loop
async def test_appends_at_the_same_time_do_not_mix(log: KafkaLog, topic: str) -> None:
    first, second = await asyncio.gather(
        *(log.append([Outgoing(topic, b"k", b"v", part)] * 200, GENERATION) for part in (0, 1))
    )
    assert first == {(topic, 0): list(range(200))}
    assert second == {(topic, 1): list(range(200))}


@pytest.mark.live
@in_a_loop
async def test_a_record_goes_with_its_headers_to_the_partition_of_its_key(
    log: KafkaLog, topic: str, kafka: Broker
) -> None:
    keys = [f"o-{number}" for number in range(40)]
    await log.append(
        [Outgoing(topic, key.encode(), b"v", headers=(("h", b"1"),)) for key in keys], GENERATION
    )
    there = await asyncio.to_thread(everything, kafka.address, topic, 2)
    assert {each.key().decode(): each.partition() for each in there} == {
        key: topics.partition_of(key, 2) for key in keys
    }
    assert {tuple(each.headers()) for each in there} == {(("h", b"1"),)}


@pytest.mark.live
@in_a_loop
async def test_records_for_any_partition_of_any_topic_go_in_one_append(
    log: KafkaLog, topic: str, kafka: Broker
) -> None:
    """A round sends rows to the partitions of their changelogs, requests by key, and what is set aside with headers."""
    other, keys = unique("other"), [f"o-{number}" for number in range(40)]
    make_topics(kafka.address, other, partitions=2)
    hashed = [Outgoing(topic, key.encode(), key.encode()) for key in keys]
    placed = [Outgoing(other, key.encode(), key.encode(), partition=1) for key in keys]
    aside = [Outgoing(other, key.encode(), key.encode(), 0, headers=(("h", b"1"),)) for key in keys]
    sent = [each for three in zip(hashed, placed, aside, strict=True) for each in three]
    offsets = await log.append(sent, GENERATION)
    there = {
        (each.topic(), each.partition(), each.offset()): each.value().decode()
        for name in (topic, other)
        for each in await asyncio.to_thread(everything, kafka.address, name, 2)
    }
    assert len(there) == len(sent)
    by_key = {key: part for (name, part, _), key in there.items() if name == topic}
    assert by_key == {key: topics.partition_of(key, 2) for key in keys}
    rows = {
        place: [there[*place, offset] for offset in found]
        for place, found in offsets.items()
        if place[0] == other
    }
    assert rows == {(other, 1): keys, (other, 0): keys}


@in_a_loop
async def test_an_append_of_nothing_is_over_at_once() -> None:
    assert await log_at(NO_BROKER).append([], GENERATION) == {}


class Requests(list[list[Place]]):
    """The places of each ProduceRequest that is sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        send = AIOKafkaConnection.send

        def counted(connection: Any, request: Any, **options: Any) -> Any:
            if isinstance(request, ProduceRequest):
                self.append(list(request._batches))
            return send(connection, request, **options)

        monkeypatch.setattr(AIOKafkaConnection, "send", counted)


@pytest.mark.live
@in_a_loop
async def test_one_request_holds_what_an_append_writes_to_all_partitions(
    log: KafkaLog, topic: str, kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = unique("other")
    make_topics(kafka.address, other, partitions=2)
    places = [(name, partition) for name in (topic, other) for partition in (0, 1)]
    records = [Outgoing(name, b"k", b"v", partition) for name, partition in places * 50]
    await log.append(records, GENERATION)
    requests = Requests(monkeypatch)
    await log.append(records, GENERATION)
    assert requests == [places]


@pytest.mark.live
@in_a_loop
async def test_appends_that_wait_for_one_another_are_sent_together_and_keep_their_order(
    log: KafkaLog, topic: str, kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append([Outgoing(topic, b"k", b"first", at) for at in (0, 1)], GENERATION)
    requests = Requests(monkeypatch)
    told = await asyncio.gather(
        *(log.append([Outgoing(topic, b"k", b"%d" % at, at % 2)], GENERATION) for at in range(4))
    )
    assert requests == [[(topic, 0), (topic, 1)]] * 2
    assert told == [{(topic, 0): [1]}, {(topic, 1): [1]}, {(topic, 0): [2]}, {(topic, 1): [2]}]


@pytest.mark.live
@in_a_loop
async def test_an_append_that_is_too_large_for_a_batch_is_written_as_several_in_order(
    log: KafkaLog, topic: str, kafka: Broker
) -> None:
    records = [Outgoing(topic, b"%d" % at, bytes(300_000), at % 2) for at in range(20)]
    offsets = await log.append(records, GENERATION)
    assert offsets == {(topic, 0): list(range(10)), (topic, 1): list(range(10))}
    there = await asyncio.to_thread(everything, kafka.address, topic, 2)
    by_partition = [[int(each.key()) for each in there if each.partition() == part] for part in (0, 1)]
    assert by_partition == [list(range(0, 20, 2)), list(range(1, 20, 2))]


@pytest.mark.live
@in_a_loop
async def test_appends_leave_no_cyclic_garbage(log: KafkaLog, topic: str) -> None:
    """One cycle for each request was seen to cost a pause of half a second."""
    records = [Outgoing(topic, b"k", b"v", at % 2, headers=(("h", b"1"),)) for at in range(10)]
    await log.append(records, GENERATION)
    gc.collect()
    gc.disable()
    try:
        for _ in range(30):
            await asyncio.gather(log.append(records, GENERATION), log.append(records[:3], GENERATION))
        assert gc.collect() == 0
    finally:
        gc.enable()


# --- what cannot be appended


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


# --- a round that fails ends the process


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


# --- twice, where a request is sent again


class Answers:
    """Changes what the broker answers to the next ProduceRequests; None leaves an answer as it is."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *changes: Callable[[BatchResult], BatchResult] | None
    ) -> None:
        self.left = chain(changes, repeat(None))
        self.seen = 0
        decode = ProduceResponse.decode

        def changed(data: BytesIO) -> Mapping[Place, BatchResult]:
            self.seen += 1
            change = next(self.left)
            return {place: change(each) if change else each for place, each in decode(data).items()}

        monkeypatch.setattr(ProduceResponse, "decode", staticmethod(changed))


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


# --- the lease


@pytest.mark.live
@in_a_loop
async def test_nothing_is_sent_before_the_lease_holds(topic: str, log: KafkaLog, kafka: Broker) -> None:
    log.lease = lease = Lease(8, 4, holding(GENERATION))
    lease.follow(lambda: GENERATION)
    appending = asyncio.ensure_future(log.append([Outgoing(topic, b"k", b"v", 0)], GENERATION))
    await asyncio.sleep(0.1)
    assert not appending.done()
    assert not await asyncio.to_thread(everything, kafka.address, topic, 2)
    lease.renew(GENERATION, float("inf"))
    assert await appending == {(topic, 0): [0]}


@pytest.mark.live
@in_a_loop
async def test_nothing_is_sent_where_the_group_has_moved_on(topic: str, log: KafkaLog) -> None:
    log.lease.follow(lambda: Generation(GENERATION + 1))
    with pytest.raises(Fatal):
        await log.append([Outgoing(topic, b"k", b"late", 0)], GENERATION)
    log.lease.follow(lambda: GENERATION)
    assert await log.append([Outgoing(topic, b"k", b"v", 0)], GENERATION) == {(topic, 0): [0]}


class Paused(IdempotentProducer):
    """A process that is paused for this long when it has found the leaders, once, or when it has written."""

    def __init__(self, address: str, pause: Callable[[], None], *, before: bool) -> None:
        super().__init__({"bootstrap.servers": address})
        self._pauses = iter([pause])
        self._before = before

    def _pause(self) -> None:
        next(self._pauses, lambda: None)()

    async def _leaders(self, places: Any) -> Any:
        leaders = await super()._leaders(places)
        if self._before:
            self._pause()
        return leaders

    async def write(self, *request: Any) -> Any:
        written = await super().write(*request)
        self._pause()
        return written


class Clocked(Lease):
    """A lease and its clock; it counts how often it is asked."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0
        super().__init__(8, 4, holding(GENERATION), clock=lambda: self.now)
        self.follow(lambda: GENERATION)
        self.renew(GENERATION, 0.0)

    def holds(self, generation: Generation) -> bool:
        self.asked += 1
        return super().holds(generation)

    def pause(self) -> None:
        self.now += 5.0


@pytest.mark.live
@in_a_loop
async def test_the_rest_of_an_append_waits_where_the_process_was_paused_on_its_way(
    topic: str, log: KafkaLog, kafka: Broker
) -> None:
    """A process that sleeps after the first batch, for longer than the lease, does not send the next as it wakes."""
    log.lease = lease = Clocked()
    log._producer = Paused(kafka.address, lease.pause, before=False)
    records = [Outgoing(topic, b"k", bytes(600_000), 0)] * 3
    appending = asyncio.ensure_future(log.append(records, GENERATION))
    await until(lambda: lease.asked > 5)
    there = await asyncio.to_thread(everything, kafka.address, topic, 2)
    assert len(there) == 1 and not appending.done()
    lease.renew(GENERATION, 5.0)
    assert await appending == {(topic, 0): [0, 1, 2]}


@pytest.mark.live
@in_a_loop
async def test_the_lease_is_asked_directly_before_a_request_is_sent(
    topic: str, log: KafkaLog, kafka: Broker
) -> None:
    """A process that is paused while it looks for the leaders sends nothing as it wakes."""
    log.lease = lease = Clocked()
    log._producer = Paused(kafka.address, lease.pause, before=True)
    appending = asyncio.ensure_future(log.append([Outgoing(topic, b"k", b"v", 0)], GENERATION))
    await until(lambda: lease.asked > 5)
    assert not await asyncio.to_thread(everything, kafka.address, topic, 2) and not appending.done()
    lease.renew(GENERATION, 5.0)
    assert await appending == {(topic, 0): [0]}


@pytest.mark.live
@in_a_loop
async def test_a_request_is_not_sent_again_where_the_process_was_paused_for_its_time(
    topic: str, log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.lease = lease = Clocked()

    def not_leader(result: BatchResult) -> BatchResult:
        lease.pause()
        return BatchResult(KafkaError.NOT_LEADER_FOR_PARTITION, Offset(-1))

    answers = Answers(monkeypatch, not_leader)
    with pytest.raises(DeliveryTimedOut, match="Not leader for partition"):
        await log.append([Outgoing(topic, b"k", b"v", 0)], GENERATION)
    assert answers.seen == 1


@pytest.mark.live
@in_a_loop
async def test_the_lease_is_asked_once_for_a_request(topic: str, log: KafkaLog) -> None:
    log.lease = lease = Clocked()
    await log.append([Outgoing(topic, b"k", b"v", at % 2) for at in range(9)], GENERATION)
    assert lease.asked == 2, "before the records wait for their turn, and directly before they are sent"


@pytest.mark.live
@in_a_loop
async def test_no_record_goes_to_a_partition_that_was_added(log: KafkaLog, kafka: Broker) -> None:
    """No worker reads it, and no key belongs to it."""
    grown = unique("grown")
    make_topics(kafka.address, grown, partitions=3)
    keys = [None, *(f"k{number}".encode() for number in range(20)), None, None]
    await log.append([Outgoing(grown, key, b"v") for key in keys], GENERATION)
    there = await asyncio.to_thread(everything, kafka.address, grown, 3)
    assert len(there) == len(keys) and {each.partition() for each in there} == {0, 1}
    assert all(
        each.partition() == topics.partition_of(each.key().decode(), 2) for each in there if each.key()
    )


# --- rows whose offsets were used before


def test_rows_that_get_the_offsets_of_earlier_ones_end_the_process() -> None:
    """The changelog lost its end between two rounds, and nobody told the producer."""
    log = log_at(NO_BROKER)
    changelog, inbox = ("saga-accounts-changelog", 0), (topics.PAYMENT, 0)
    for found in ([5, 6], [9], [10, 12]):
        log._check({changelog: [*map(Offset, found)], inbox: [Offset(1)]})
    for found in ([12], [3, 4], [13, 2]):
        with pytest.raises(Fatal, match="lost rows while this worker ran") as ended:
            log._check({changelog: [*map(Offset, found)]})
        assert ended.value.exit is Exit.CHANGELOG_CUT
