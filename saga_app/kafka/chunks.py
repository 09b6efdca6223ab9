"""Reads a part of a partition in chunks, fast."""

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from saga_app.kafka.broker_errors import refused
from saga_app.kafka.offsets import TIMEOUT
from saga_app.settings import readers_group


def chunks(
    config: Mapping[str, Any],
    topic: str,
    partition: int,
    start: int,
    end: int,
    isolation: str = "read_uncommitted",
) -> Iterator[list[Message]]:
    """The partition's records from `start` up to, not including, `end`; `TimeoutError` if the broker is silent.

    `end` must be an end that the broker gave for this isolation level: the consumer may never reach another one.
    """
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
            # The default fetches 64 MiB ahead.
            "queued.max.messages.kbytes": 16 * 1024,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, start)])
        yield from _chunks(consumer, f"{topic}[{partition}]", end)
    finally:
        consumer.close()


def _chunks(consumer: Consumer, place: str, end: int) -> Iterator[list[Message]]:
    silent = 0.0
    while True:
        chunk: list[Message] = []
        at_end = False
        # `consume(5_000, 0.2)` would wait for 5,000 records: 0.2 s for each of 48 changelogs.
        for message in [*consumer.consume(1, 0.2), *consumer.consume(5_000, 0)]:
            error = message.error()
            if error is not None:
                # A new leader may know a lower end for a moment, so only an end from `end` on counts.
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
