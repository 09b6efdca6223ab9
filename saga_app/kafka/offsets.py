"""Begins and ends of partitions, committed offsets, and the ids of topics and cluster."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from confluent_kafka import (
    OFFSET_INVALID,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.kafka.retries import ANSWER, asked, with_retries

#: Seconds to wait for the broker's answer.
TIMEOUT: Final = 30.0


def ends(admin: AdminClient, places: Iterable[Place], seconds: float = TIMEOUT) -> dict[Place, Offset]:
    """The offset after the last record of each (topic, partition)."""
    return _offsets(admin, places, OffsetSpec.latest(), seconds=seconds)


def readable_ends(
    admin: AdminClient, places: Iterable[Place], seconds: float = TIMEOUT
) -> dict[Place, Offset]:
    """The end for consumers that read committed records only: `ends`, unless a transaction is still open."""
    return _offsets(admin, places, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED, seconds)


def beginnings(admin: AdminClient, places: Iterable[Place], seconds: float = TIMEOUT) -> dict[Place, Offset]:
    """The offset of the first record that each (topic, partition) still has."""
    return _offsets(admin, places, OffsetSpec.earliest(), seconds=seconds)


def leader_epochs(admin: AdminClient, places: Iterable[Place]) -> dict[Place, int]:
    """The epoch of the leader that each partition has now; -1 if the broker does not tell."""
    wanted = {TopicPartition(*place): OffsetSpec.latest() for place in places}

    def ask(answer: float) -> dict[Place, int]:
        found = {}
        for place, future in admin.list_offsets(wanted, request_timeout=answer).items():
            epoch = future.result().leader_epoch
            found[place.topic, place.partition] = -1 if epoch is None else epoch
        return found

    return asked(admin, ask, TIMEOUT) if wanted else {}


def after(admin: AdminClient, places: Iterable[Place], time: int) -> dict[Place, Offset]:
    """The offset of the first record after this time (milliseconds); places without one are left out."""
    found = _offsets(admin, places, OffsetSpec.for_timestamp(time + 1))
    return {place: offset for place, offset in found.items() if offset >= 0}


def _offsets(
    admin: AdminClient,
    places: Iterable[Place],
    spec: OffsetSpec,
    isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    seconds: float = TIMEOUT,
) -> dict[Place, Offset]:
    wanted = {TopicPartition(topic, partition): spec for topic, partition in places}
    if not wanted:
        return {}

    def ask(answer: float) -> dict[Place, Offset]:
        answers = admin.list_offsets(wanted, isolation_level=isolation, request_timeout=answer)
        found = {
            (place.topic, place.partition): Offset(future.result().offset)
            for place, future in answers.items()
        }
        if OFFSET_INVALID in found.values():
            # While a partition has no leader the client may say so in place of an error.
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        return found

    return asked(admin, ask, seconds)


def partition_counts(admin: AdminClient, topics: Iterable[str], seconds: float = TIMEOUT) -> dict[str, int]:
    """The number of partitions that each topic has now; topics that are not there are left out."""
    found = with_retries(lambda: admin.list_topics(timeout=min(seconds, ANSWER)), seconds).topics
    return {name: len(found[name].partitions) for name in topics if name in found}


class AddedPartition(NamedTuple):
    """The first record of a partition that no worker reads, and the end of those that may be read."""

    begin: Offset
    end: Offset

    @property
    def records(self) -> int:
        """The number of offsets in between."""
        return self.end - self.begin


def added(admin: AdminClient, counts: Mapping[str, int], partitions: int) -> dict[Place, AddedPartition]:
    """The partitions beyond those that workers read; `counts` has the number that each topic has."""
    places = [(name, each) for name, count in counts.items() for each in range(partitions, count)]
    begins, ends = beginnings(admin, places), readable_ends(admin, places)
    return {place: AddedPartition(begins[place], ends[place]) for place in places}


def cluster_id(admin: AdminClient, seconds: float = TIMEOUT) -> str:
    """Kafka's id of the cluster."""

    def ask(answer: float) -> str:
        return str(admin.describe_cluster(request_timeout=answer).result().cluster_id)

    return asked(admin, ask, seconds)


def topic_ids(admin: AdminClient, topics: Iterable[str], seconds: float = TIMEOUT) -> dict[str, str]:
    """Kafka's id of each topic: it changes when a topic is deleted and made again."""
    names = TopicCollection(list(topics))

    def ask(answer: float) -> dict[str, str]:
        answers = admin.describe_topics(names, request_timeout=answer)
        return {name: str(future.result().topic_id) for name, future in answers.items()}

    return asked(admin, ask, seconds)
