"""Asking Kafka again while the answer is only that it cannot say yet."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

#: What is answered while a topic is new, its leader or the group's coordinator moves, or a broker was started again.
_PASSING: Final = frozenset(
    {
        KafkaError._NOENT,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
Answer = TypeVar("Answer")


def patiently(admin: AdminClient, ask: Callable[[], Answer], seconds: float) -> Answer:
    """The answer, asked for again for so many seconds: librdkafka's admin client does not do it by itself.

    Nor does it ask for new metadata: after a broker's restart it would be refused for its old leader epoch for ever.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _PASSING or time.monotonic() > end:
                raise
        time.sleep(0.1)
        with suppress(KafkaException):
            admin.list_topics(timeout=5)
