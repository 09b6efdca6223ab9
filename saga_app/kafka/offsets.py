"""What the group of the workers has taken of its inboxes."""

from collections.abc import Iterable

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from saga_app.kafka.messages import Place
from saga_app.kafka.retries import patiently


def committed(admin: AdminClient, group: str, places: Iterable[Place], seconds: float) -> dict[Place, int]:
    """The committed offset of each place, 0 where there is none yet. Raises `KafkaException`."""
    asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(*place) for place in places])]
    answer = patiently(
        admin,
        lambda: admin.list_consumer_group_offsets(asked, request_timeout=seconds)[group].result(),
        seconds,
    )
    return {(each.topic, each.partition): max(0, each.offset) for each in answer.topic_partitions}
