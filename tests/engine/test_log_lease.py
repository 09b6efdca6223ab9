"""The log asks the lease directly before it writes, and writes nothing after it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from saga_app import topics
from saga_app.core.numbers import Generation, Offset
from saga_app.engine.exits import Fatal
from saga_app.engine.lease import Lease
from saga_app.engine.log import KafkaLog
from saga_app.engine.ports import DeliveryTimedOut
from saga_app.kafka.idempotent import IdempotentProducer
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.produce import BatchResult
from saga_app.local.broker import Broker
from tests.engine.appending import GENERATION, Answers, in_a_loop
from tests.engine.faust.parts import (
    everything,
    make_topics,
    unique,
    until,
)
from tests.support.assigned import holding


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
