"""Reads a partition in chunks, with librdkafka, as fast as it can be read."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from saga_app.core.numbers import Offset
from saga_app.kafka.broker_errors import refused
from saga_app.kafka.dense import DenseBatches, before, in_order, is_written_by_people
from saga_app.kafka.messages import Place, located
from saga_app.kafka.offsets import TIMEOUT, beginnings
from saga_app.kafka.raw import RawClient
from saga_app.settings import readers_group

#: KiB that the client may hold of what it has fetched ahead; librdkafka's own limit is 64 MiB.
AHEAD: Final = 16 * 1024
#: Seconds without a record after which the batches are looked at.
STUCK: Final = 3.0


def chunks(
    config: Mapping[str, Any],
    topic: str,
    partition: int,
    start: int,
    end: int,
    isolation: str = "read_uncommitted",
) -> Generator[list[Message]]:
    """The partition's records from `start` up to, not including, `end`; `TimeoutError` where the broker is silent.

    `end` is one that the broker has named for this isolation level: with another one nothing may ever reach it.
    """
    if not is_written_by_people(topic):
        if start < end:
            yield from _with_librdkafka(config, topic, partition, start, end, isolation)
        return
    if start < end:
        start = yield from _dense_chunks(config, (topic, partition), start, end, isolation)
    while start < end:
        start = yield from _chunks_until_lie(config, (topic, partition), start, end, isolation)
        if start < end:
            place = (topic, partition)
            # A topic that has lost its beginning has no batches there.
            start = max(start, beginnings(AdminClient(dict(config)), [place])[place])
        if start < end:
            start = yield from _careful_chunk(config, place, start, end, isolation)


def _with_librdkafka(
    config: Mapping[str, Any],
    topic: str,
    partition: int,
    start: int,
    end: int,
    isolation: str,
    patience: float = TIMEOUT,
) -> Generator[list[Message]]:
    consumer = Consumer(
        {
            **config,
            "group.id": readers_group(config),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "max.poll.interval.ms": 86_400_000,
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": AHEAD,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, start)])
        yield from _chunks(consumer, f"{topic}[{partition}]", end, patience)
    finally:
        consumer.close()


def _chunks_until_lie(
    config: Mapping[str, Any], place: Place, start: int, end: int, isolation: str
) -> Generator[list[Message], None, int]:
    """The chunks up to where a record lies, or nothing comes for `STUCK` seconds; returns the offset there."""
    with (
        suppress(TimeoutError),
        RawClient(config, [place[0]]) as client,
        closing(_with_librdkafka(config, *place, start, end, isolation, STUCK)) as found,
    ):
        for chunk in found:
            following, gaps = in_order(chunk, start)
            lies = client.has_records(place, gaps)
            if lies:
                following = before(following, gaps[0].start)
            if following:
                yield following
                start = following[-1].offset() + 1
            if lies:
                break
    return start


def _careful_chunk(
    config: Mapping[str, Any], place: Place, start: int, end: int, isolation: str
) -> Generator[list[Message], None, int]:
    """One chunk, read with care; returns the offset behind it."""
    with RawClient(config, [place[0]]) as client:
        records, reached = client.read(place, start, end, committed=isolation == "read_committed")
    if reached == start:
        raise TimeoutError(f"an open transaction at {located(place, start)}")
    yield records
    return reached


def _dense_chunks(
    config: Mapping[str, Any], place: Place, start: int, end: int, isolation: str
) -> Generator[list[Message], None, int]:
    """The chunks that must be unpacked with care; returns the offset behind them."""
    with RawClient(config, [place[0]]) as client:
        until = min(end, DenseBatches().find(client, {place: start}, end).get(place, Offset(start)))
        while start < until:
            records, reached = client.read(place, start, until, committed=isolation == "read_committed")
            if reached == start:
                raise TimeoutError(f"an open transaction at {located(place, start)}")
            yield records
            start = reached
    return start


def _chunks(consumer: Consumer, place: str, end: int, patience: float = TIMEOUT) -> Iterator[list[Message]]:
    silent = 0.0
    while True:
        chunk: list[Message] = []
        at_end = False
        # `consume` waits until it has as many as it may take: 0.2 s for each of 48 changelogs.
        for message in [*consumer.consume(1, 0.2), *consumer.consume(5_000, 0)]:
            error = message.error()
            if error is not None:
                # A new leader may know a lower end for a moment; nothing is missing only from `end` on.
                at_end = at_end or (error.code() == KafkaError._PARTITION_EOF and message.offset() >= end)
                if not at_end and (error.fatal() or refused(error)):
                    raise KafkaException(error)
            elif message.offset() >= end:
                # Records of a lying batch may come behind it, with offsets that seem to fit.
                at_end = True
                break
            else:
                chunk.append(message)
        if chunk:
            silent = 0.0
            yield chunk
        if at_end or (chunk and chunk[-1].offset() + 1 >= end):
            return
        silent = 0.0 if chunk else silent + 0.2
        if silent > patience:
            raise TimeoutError(f"no records of {place} for {patience:.0f} s; is the broker up?")
