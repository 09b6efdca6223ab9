"""Asking Kafka again while the answer is only that it cannot say yet."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from saga_app.kafka.broker_errors import refused

#: What is said while a partition's leader moves, or while a broker is silent, gone or just started again.
MOVING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
#: What else is answered while a topic is new, or the group's coordinator moves.
_PASSING: Final = MOVING | {
    KafkaError._NOENT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
Answer = TypeVar("Answer")


def patiently(admin: AdminClient | None, ask: Callable[[], Answer], seconds: float) -> Answer:
    """The answer, asked for again for so many seconds: librdkafka's admin client does not do it by itself.

    Nor does it ask for new metadata: after a broker's restart it would be refused for its old leader epoch for ever.
    None where each try has a client of its own.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            passes = error.args[0].code() in _PASSING and not refused(error.args[0])
            if not passes or time.monotonic() > end:
                raise
        time.sleep(0.1)
        if admin is not None:
            with suppress(KafkaException):
                admin.list_topics(timeout=5)
