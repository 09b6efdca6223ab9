"""Asks Kafka again after an error that passes by itself."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from saga_app.kafka.broker_errors import refused

#: Seconds that one try may take of the time for all: a client may wait in vain where its next request is answered.
ANSWER: Final = 10.0
#: Errors while a partition's leader moves, or while a broker is silent, gone or just started again.
RETRIABLE: Final = frozenset(
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
#: For requests of an admin client also the errors while a topic is new, or the group's coordinator moves.
_RETRIABLE_BY_ADMIN: Final = RETRIABLE | {
    KafkaError._NOENT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
Response = TypeVar("Response")


def with_retries(request: Callable[[], Response], seconds: float) -> Response:
    """The response; the request is repeated for so many seconds, since librdkafka's admin client repeats none."""
    end = time.monotonic() + seconds
    while True:
        try:
            return request()
        except KafkaException as error:
            passes = error.args[0].code() in _RETRIABLE_BY_ADMIN and not refused(error.args[0])
            if not passes or time.monotonic() > end:
                raise
        time.sleep(0.1)


def asked(admin: AdminClient, request: Callable[[float], Response], seconds: float) -> Response:
    """`with_retries` for a request of this client, which is called with the seconds of one try.

    Before each try the client connects and fetches new metadata. One that knows no leaders and no controller yet asks
    for them while it still connects; about one in ten such requests gets no answer and fails when its time is over.
    And after a broker's restart, the broker would refuse the old leader epoch for ever.
    """
    answer = min(seconds, ANSWER)

    def ask() -> Response:
        admin.list_topics(timeout=answer)
        return request(answer)

    return with_retries(ask, seconds)
