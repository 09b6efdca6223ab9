"""Logs on Kafka: where they end, and what is in them. Read with librdkafka, in batches, past Faust.

Stock Faust recovers 9,200 rows a second through its event loop, seeks out of range where old segments are gone
(faust.md c3) and may apply a row to the wrong table (c5).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from saga_app.engine.ports import row_in
from saga_app.engine.stores.restore import Logged
from saga_app.kafka.broker_errors import refused
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Place
from saga_app.kafka.retries import patiently
from saga_app.settings import readers_group

#: Seconds to wait for the broker's answer.
PATIENCE = 30.0
#: KiB that the client may hold of what it has fetched ahead; librdkafka's own limit is 64 MiB.
AHEAD = 16 * 1024


class KafkaChangelog:
    """One changelog partition; see `restore.Changelog`."""

    def __init__(self, config: Mapping[str, Any], topic: str, partition: int, end: int) -> None:
        self.topic = topic
        self.partition = partition
        self._end = end
        self._config = config

    def end(self) -> int:
        return self._end

    def read(self, start: int, end: int) -> Iterator[Sequence[Logged]]:
        for chunk in chunks(self._config, self.topic, self.partition, start, end):
            yield [logged(each) for each in chunk]


def logged(message: Message) -> Logged:
    """A row as it stands in a changelog."""
    return Logged(message.offset(), message.key(), row_in(message.value(), headers_of(message)))


def chunks(
    config: Mapping[str, Any],
    topic: str,
    partition: int,
    start: int,
    end: int,
    isolation: str = "read_uncommitted",
) -> Iterator[list[Message]]:
    """The partition's records from `start` up to, not including, `end`; `TimeoutError` where the broker is silent.

    `end` is one that the broker has named for this isolation level: with another one nothing may ever reach it.
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
            "queued.max.messages.kbytes": AHEAD,
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
        if silent > PATIENCE:
            raise TimeoutError(f"no records of {place} for {PATIENCE:.0f} s; is the broker up?")


def ends(admin: AdminClient, places: Iterable[Place]) -> dict[Place, int]:
    """The offset after the last record of each (topic, partition)."""
    return _offsets(admin, places, OffsetSpec.latest())


def readable_ends(admin: AdminClient, places: Iterable[Place], seconds: float = PATIENCE) -> dict[Place, int]:
    """The offset before which everything may be read: `ends`, unless somebody's transaction is still open."""
    return _offsets(admin, places, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED, seconds)


def beginnings(admin: AdminClient, places: Iterable[Place], seconds: float = PATIENCE) -> dict[Place, int]:
    """The offset of the first record that is still there, of each (topic, partition)."""
    return _offsets(admin, places, OffsetSpec.earliest(), seconds=seconds)


def after(admin: AdminClient, places: Iterable[Place], time: int) -> dict[Place, int]:
    """The offset of the first record after this moment (milliseconds); places that have none are left out."""
    found = _offsets(admin, places, OffsetSpec.for_timestamp(time + 1))
    return {place: offset for place, offset in found.items() if offset >= 0}


def _offsets(
    admin: AdminClient,
    places: Iterable[Place],
    spec: OffsetSpec,
    isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    seconds: float = PATIENCE,
) -> dict[Place, int]:
    asked = {TopicPartition(topic, partition): spec for topic, partition in places}
    if not asked:
        return {}

    def ask() -> dict[Place, int]:
        # A client that knows no leaders yet would ask for them while it still connects. About one in ten does not get
        # its answer, does not ask again, and gives up after `socket.timeout.ms`.
        admin.list_topics(timeout=seconds)
        answers = admin.list_offsets(asked, isolation_level=isolation, request_timeout=seconds)
        return {(place.topic, place.partition): future.result().offset for place, future in answers.items()}

    return patiently(None, ask, seconds)


def cluster_id(admin: AdminClient, seconds: float = PATIENCE) -> str:
    """Kafka's id of the cluster."""
    return patiently(
        admin, lambda: str(admin.describe_cluster(request_timeout=seconds).result().cluster_id), seconds
    )


def topic_ids(admin: AdminClient, topics: Iterable[str], seconds: float = PATIENCE) -> dict[str, str]:
    """Kafka's id of each topic: it changes when a topic is deleted and made again."""
    names = TopicCollection(list(topics))

    def ask() -> dict[str, str]:
        answers = admin.describe_topics(names, request_timeout=seconds)
        return {name: str(future.result().topic_id) for name, future in answers.items()}

    return patiently(admin, ask, seconds)
