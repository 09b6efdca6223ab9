"""The log: an append is over when the broker has every record, and one request holds all of its partitions.

It answers a fault of stock Faust: a send returns too early (`docs/reference/faust.md#a18`, faust#393).
"""

import asyncio
import gc
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection

from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.engine.exits import Exit, Fatal
from saga_app.engine.log import KafkaLog
from saga_app.kafka.messages import Outgoing, Place
from saga_app.kafka.produce import ProduceRequest
from saga_app.local.broker import Broker
from tests.engine.appending import GENERATION, in_a_loop, log_at
from tests.engine.faust.parts import (
    NO_BROKER,
    everything,
    make_topics,
    unique,
)


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
