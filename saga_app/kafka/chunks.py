"""Reads a partition in chunks, with librdkafka, as fast as it can be read."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from saga_app.core.numbers import Offset
from saga_app.kafka.broker_errors import refused
from saga_app.kafka.dense import DenseBatches, is_written_by_people
from saga_app.kafka.messages import Place
from saga_app.kafka.offsets import TIMEOUT
from saga_app.kafka.raw import RawClient
from saga_app.settings import readers_group

#: KiB that the client may hold of what it has fetched ahead; librdkafka's own limit is 64 MiB.
AHEAD: Final = 16 * 1024


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
    if start < end and is_written_by_people(topic):
        start = yield from _dense_chunks(config, (topic, partition), start, end, isolation)
    if start >= end:
        return
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
        yield from _chunks(consumer, f"{topic}[{partition}]", end)
    finally:
        consumer.close()


def _dense_chunks(
    config: Mapping[str, Any], place: Place, start: int, end: int, isolation: str
) -> Generator[list[Message], None, int]:
    """The chunks that must be unpacked with care; returns the offset behind them."""
    with RawClient(config, [place[0]]) as client:
        until = min(end, DenseBatches().find(client, {place: start}, end).get(place, Offset(start)))
        while start < until:
            records, reached = client.read(place, start, until, committed=isolation == "read_committed")
            if reached == start:
                raise TimeoutError(f"an open transaction in {place[0]}[{place[1]}] at offset {start}")
            yield records
            start = reached
    return start


def _chunks(consumer: Consumer, place: str, end: int) -> Iterator[list[Message]]:
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
                at_end = True
            else:
                chunk.append(message)
        if chunk:
            silent = 0.0
            yield chunk
        if at_end or (chunk and chunk[-1].offset() + 1 >= end):
            return
        silent = 0.0 if chunk else silent + 0.2
        if silent > TIMEOUT:
            raise TimeoutError(f"no records of {place} for {TIMEOUT:.0f} s; is the broker up?")
