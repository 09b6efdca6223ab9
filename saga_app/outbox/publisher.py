"""Sends batches to the inboxes, and waits as long as it takes until the broker has all of a batch.

Each batch is sent whole and in sequence, and sent again whole if it is not known whether the broker has it. So of two
records of one order the first one is always there before the second one, whoever else sends the same rows.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app import topics
from saga_app.kafka.broker_errors import Admin, in_words, refused
from saga_app.kafka.headers import ACTOR
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.reachable import refusals
from saga_app.kafka.sender import Sender
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.operator_log import actor
from saga_app.settings import Settings

#: Seconds without an answer after which somebody looks why.
SILENT: Final = 5.0
#: Seconds without an answer, though another client gets one, after which a producer is given up: librdkafka may have
#: lost its brokers for good (librdkafka#5301).
GIVEN_UP: Final = 30.0
#: Seconds in which a broker that is there answers a stopping relay.
LAST_ANSWER: Final = 2.0
_TURN: Final = 0.1

Report = Callable[[str], None]
IsStopped = Callable[[], bool]


class _Flight:
    """The records of one batch that the broker has not confirmed."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.error: str | None = None

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.left -= 1
        elif self.error is None:
            self.error = f"{message.topic()}: {refused(error) or error.str()}"


class OutboxPublisher:
    """One connection to the broker. It says once that the broker is away, and once that it is back."""

    def __init__(self, settings: Settings, report: Report) -> None:
        self._settings = settings
        self._report = report
        self._headers = [(ACTOR, actor(settings).encode())]
        self._sender = Sender(settings)
        self._errors: deque[KafkaError] = deque(maxlen=20)
        self._producer: Producer | None = None
        self._away = ""

    def publish(self, records: Sequence[Outgoing], is_stopped: IsStopped) -> bool:
        """True as soon as the broker has all records; False if the relay is stopped before.

        Raises `TopicsWrong` if an inbox is missing or has another number of partitions.
        """
        while not is_stopped():
            try:
                for topic in {record.topic for record in records}:
                    self._sender.require_topic(topic)
                if self._sent(records, is_stopped):
                    self._is_back()
                    return True
            except BrokerUnreachable as error:
                self._is_away(str(error))
            except KafkaException as error:
                self._is_away(in_words(error))
                self.close()
            _pause(is_stopped)
        return False

    def close(self) -> None:
        """Gives up what the broker has not confirmed: its rows are still there."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
            self._producer = None

    def _sent(self, records: Sequence[Outgoing], is_stopped: IsStopped) -> bool:
        """True if the broker has all; False if it is not known, and the producer is given up."""
        flight = _Flight(len(records))
        for record in records:
            self._produce(record, flight)
        left, heard, asked = flight.left, time.monotonic(), time.monotonic()
        while flight.left and flight.error is None:
            self._connected().poll(_TURN)
            now = time.monotonic()
            if flight.left < left:
                left, heard, asked = flight.left, now, now
            elif is_stopped() and now - heard > LAST_ANSWER:
                break
            elif now - asked > SILENT:
                asked = now
                if self._is_lost(now - heard):
                    break
        if flight.error is not None:
            self._is_away(flight.error)
        if flight.left:
            self.close()
        return not flight.left

    def _is_lost(self, silent: float) -> bool:
        """True if other clients reach the broker, and this one has not for long. Else it says why nobody does."""
        words = next(filter(None, map(refused, self._errors)), None)
        self._errors.clear()
        if words:
            self._is_away(words)
            return False
        if found := refusals(self._settings):
            self._is_away("; ".join(found))
            return False
        try:
            Admin(self._settings).list_topics(self._settings.timeouts.answer)
        except KafkaException as error:
            self._is_away(in_words(error))
            return False
        return silent > GIVEN_UP

    def _produce(self, record: Outgoing, flight: _Flight) -> None:
        partition = record.partition
        if partition is None:
            assert record.key is not None, "a record of a shop has a key"
            partition = topics.partition_of(record.key.decode(), self._settings.partitions)
        headers: Any = [*record.headers, *self._headers]
        self._connected().produce(
            record.topic, record.value, record.key, partition, flight.delivered, headers=headers
        )

    def _connected(self) -> Producer:
        if self._producer is None:
            self._errors.clear()
            self._producer = Producer(
                {
                    **self._settings.kafka,
                    "acks": "all",
                    "enable.idempotence": True,
                    # A record that was given up, with a later one of its order behind it in the topic, would come too
                    # late: so none is given up, and after any other error the batch is sent again from its beginning.
                    "message.timeout.ms": 0,
                    "enable.gapless.guarantee": True,
                    "linger.ms": 5,
                    "message.max.bytes": topics.LARGEST_IN_INBOX,
                    # A batch fits: it has a bound of its own.
                    "queue.buffering.max.messages": 1_000_000,
                    "queue.buffering.max.kbytes": 2_000_000,
                    "error_cb": self._errors.append,
                }
            )
        return self._producer

    def _is_away(self, words: str) -> None:
        if not self._away:
            self._report(f"the broker takes nothing: {words}; waiting")
        self._away = words

    def _is_back(self) -> None:
        if self._away:
            self._report("the broker takes records again")
        self._away = ""


def _pause(is_stopped: IsStopped) -> None:
    """Waits before another attempt, as long as nobody stops the relay."""
    until = time.monotonic() + SILENT
    while not is_stopped() and time.monotonic() < until:
        time.sleep(_TURN)
