"""Sends records to their inboxes, as safely as a worker: acks=all, idempotent, and it waits for the answer."""

import json
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, murmur2

from saga_app import topics, wire
from saga_app.core.records import Record
from saga_app.kafka import topic_admin
from saga_app.kafka.broker_errors import in_words, refused
from saga_app.kafka.headers import ACTOR, BY_SENDER
from saga_app.kafka.messages import Header, Outgoing, located, outgoing
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.topic_faults import FIXED
from saga_app.operator_log import actor, log_action
from saga_app.settings import Settings
from saga_app.topics import Topic

#: Seconds in which the broker must take a record.
TIMEOUT: Final = 10.0
#: Seconds in which every broker must know a new topic.
TOPIC_TIMEOUT: Final = 2.0


class Sent(NamedTuple):
    """The place of a record that was sent."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"sent to {located((self.topic, self.partition), self.offset)}"


class DeliveryUnknown(Exception):
    """The broker did not confirm a record. The record may be in the topic all the same: a timeout is no refusal."""


def checked(fields: Mapping[str, Any]) -> Record:
    """The record with these fields; `Rejected` if a worker would refuse it."""
    return read(json.dumps({name: value for name, value in fields.items() if value is not None}).encode())


def read(value: bytes) -> Record:
    """The record in JSON; `Rejected` if a worker would refuse it as typed or as sent."""
    record = wire.decode(value)
    # Defaults are filled in before a record is sent, so it may be longer than the typed one.
    wire.decode(wire.encode(record))
    return record


def producer_options(settings: Settings) -> dict[str, Any]:
    """The configuration of a producer that is as safe as a worker's. It has the password: never print it."""
    return {
        # Each record reports its own error; librdkafka's log lines are not for users.
        **settings.kafka,
        "acks": "all",
        "enable.idempotence": True,
        # The broker checks the limit of each topic; the client's default is lower.
        "message.max.bytes": topics.LARGEST_IN_LOG,
    }


def partition_of(record: Outgoing, partitions: int) -> int:
    """The record's partition, from its key if it names none; -1 is any."""
    if record.partition is not None:
        return record.partition
    return -1 if record.key is None else int(murmur2(record.key, partitions))


def headers_by(record: Outgoing, actor: bytes) -> list[Header]:
    """The record's headers; if it goes to an inbox, or asks for it, with who sent it, and no other such header."""
    if record.topic not in topics.INBOXES and tuple(record.headers[-1:]) != (BY_SENDER,):
        return list(record.headers)
    return [*(each for each in record.headers if each[0] != ACTOR), (ACTOR, actor)]


class Sender:
    """Sends records over one connection, made with the first record. Each that goes to an inbox says who sent it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._actor = actor(settings).encode()
        self._known: set[str] = set()
        self._errors: list[str] = []
        self._producer: Producer | None = None

    def send(self, record: Record) -> Sent:
        """Sends a record. Raises `BrokerUnreachable` or `TopicsWrong` before it is sent, `DeliveryUnknown` after."""
        return self.send_all([record])[0]

    def send_all(self, records: Iterable[Record]) -> list[Sent]:
        """Sends many records; returns their places in the same order."""
        return self.post(map(outgoing, records))

    def post(self, records: Iterable[Outgoing]) -> list[Sent]:
        """Sends records that name topic, key and partition; returns their places in the same order."""
        self._errors.clear()
        sent: list[Sent | None] = []
        for index, record in enumerate(records):
            self.require_topic(record.topic)
            sent.append(None)
            self._produce(record, partial(self._delivered, sent, index))
            if self._errors:
                break
        if self._producer is not None:
            self._producer.flush(TIMEOUT + 1)
        taken = [each for each in sent if each is not None]
        if sent:
            log_action(
                self._settings, "send", records=len(sent), taken=len(taken), first=taken[:1], last=taken[-1:]
            )
        if len(taken) < len(sent):
            raise DeliveryUnknown(
                f"{self._settings.broker} took {len(taken)} of {len(sent)} records within {TIMEOUT:.0f} s "
                f"({self._errors[0] if self._errors else 'no answer'}); `saga doctor` looks at everything"
            )
        return taken

    def require_topic(self, topic: str) -> None:
        """Raises `TopicsWrong` unless the topic has all its partitions: the producer would wait in vain."""
        if topic in self._known:
            return
        require_broker(self._settings)
        until = time.monotonic() + TOPIC_TIMEOUT
        wanted = [Topic(topic, self._settings.partitions, {})]
        while (found := topic_admin.check(self._settings, wanted)).missing:
            if time.monotonic() > until:
                raise topic_admin.TopicsWrong(
                    f"topic {topic} is not on {self._settings.broker}; create it: saga topics --create"
                )
            time.sleep(0.1)
        if found.wrong:
            raise topic_admin.TopicsWrong(f"{found.wrong[0]}; {FIXED}")
        self._known.add(topic)

    def _produce(self, record: Outgoing, delivered: Any) -> None:
        if self._producer is None:
            self._producer = self._connected()
        producer = self._producer
        partition = partition_of(record, self._settings.partitions)
        headers = headers_by(record, self._actor)
        while True:
            try:
                producer.produce(
                    record.topic, record.value, record.key, partition, delivered, headers=headers
                )
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                self._errors.append(in_words(error))
                return
            else:
                producer.poll(0)
                return

    def _connected(self) -> Producer:
        return Producer(
            {**producer_options(self._settings), "linger.ms": 5, "delivery.timeout.ms": int(TIMEOUT * 1000)}
        )

    def _delivered(
        self, sent: list[Sent | None], index: int, error: KafkaError | None, message: Message
    ) -> None:
        if error is not None:
            self._errors.append(f"{message.topic()}: {refused(error) or error.str()}")
        else:
            sent[index] = Sent(message.topic(), message.partition(), message.offset())
