"""The workers as Kafka knows them: the members of their group, and what they have not taken yet."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from saga_app.durable import changelogs
from saga_app.settings import Settings

#: Seconds to wait for the broker's answer.
PATIENCE: Final = 10.0
#: What is answered while the group's coordinator is chosen, as on a broker that never had a group.
_PASSING: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
Answer = TypeVar("Answer")


class Members(NamedTuple):
    """How many there are, the state of their group in Kafka's word, and the machines that they run on."""

    number: int
    state: str
    hosts: list[str]


class Group:
    """The consumer group of the workers with these settings. Methods raise `KafkaException`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient({**settings.kafka, "log_level": 0})

    def members(self) -> Members:
        """Who is in it now; a group that never was has no members."""
        name = self._settings.app_id
        found = _patiently(
            lambda: self._admin.describe_consumer_groups([name], request_timeout=PATIENCE)[name].result()
        )
        hosts = sorted({str(each.host).lstrip("/") for each in found.members})
        return Members(len(found.members), found.state.name.lower(), hosts)

    def lag(self, topic: str) -> int:
        """Records that it has not taken; where it has taken none yet, it begins with the first that is there."""
        name = self._settings.app_id
        places = [(topic, partition) for partition in range(self._settings.partitions)]
        asked = [ConsumerGroupTopicPartitions(name, [TopicPartition(*place) for place in places])]
        answer = _patiently(
            lambda: self._admin.list_consumer_group_offsets(asked, request_timeout=PATIENCE)[name].result()
        )
        taken = {(each.topic, each.partition): each.offset for each in answer.topic_partitions}
        first = changelogs.beginnings(self._admin, places)
        ends = changelogs.ends(self._admin, places)
        return sum(max(0, ends[place] - max(taken[place], first[place])) for place in places)


def _patiently(ask: Callable[[], Answer]) -> Answer:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _PASSING or time.monotonic() > end:
                raise
        time.sleep(0.1)
