"""Asks Kafka what there is to copy: the topics, their ids, where they begin and end."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.messages import Place
from saga_app.orderdb.copy.mapping import row_mappers
from saga_app.settings import Settings


class SourceTopics(NamedTuple):
    """Whose topics these are: Kafka's ids of the cluster and of each topic, which change when one is made anew."""

    app_id: str
    cluster_id: str
    topic_ids: dict[str, str]
    places: list[Place]


class TopicsMissing(Exception):
    """There is nothing to copy yet; the message names what is missing."""


class SourceAdmin:
    """Questions, each answered within the time that the settings give a broker. They raise `KafkaException`.

    Each is asked by a client of its own: one that lives for weeks may have lost its brokers (see `liveness`).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seconds = settings.timeouts.answer

    def origin(self) -> SourceTopics:
        """What is there now. `TopicsMissing` if it is not all there."""
        admin = Admin(self._settings)
        metadata = admin.list_topics(timeout=self._seconds)
        topics = list(row_mappers(self._settings.app_id))
        missing = [topic for topic in topics if topic not in metadata.topics]
        if missing:
            raise TopicsMissing(
                f"{', '.join(missing)} missing on {self._settings.broker} (SAGA_APP_ID is {self._settings.app_id!r}); "
                "a worker makes them when it starts, and `saga topics --create`"
            )
        ids = offsets.topic_ids(admin, topics, self._seconds)
        places = [
            (topic, partition) for topic in topics for partition in sorted(metadata.topics[topic].partitions)
        ]
        return SourceTopics(self._settings.app_id, str(metadata.cluster_id), ids, places)

    def beginnings(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offset of the first record that is still there."""
        return offsets.beginnings(Admin(self._settings), places, self._seconds)

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offset before which everything may be read."""
        return offsets.readable_ends(Admin(self._settings), places, self._seconds)

    def commit(self, reached: Mapping[Place, int]) -> None:
        """Tells the consumer group how far the database has got, for tools that show lag; nothing else depends on it.

        (A consumer that has this to do cannot be closed while its broker is silent.)
        """
        if not reached:
            return
        offsets = [TopicPartition(*place, offset) for place, offset in reached.items()]
        asked = [ConsumerGroupTopicPartitions(group_of(self._settings), offsets)]
        admin = Admin(self._settings)
        with suppress(KafkaException):
            for told in admin.alter_consumer_group_offsets(asked, request_timeout=self._seconds).values():
                told.result()


def group_of(settings: Settings) -> str:
    """The order database's own consumer group."""
    return f"{settings.app_id}-orders"
