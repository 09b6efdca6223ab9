"""Sends records to their inboxes, as safely as a worker does: acks=all, idempotent, and it waits for the answer."""

import json
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app import topics, wire
from saga_app.core.records import Record
from saga_app.kafka import topic_admin
from saga_app.kafka.broker_errors import in_words, refused
from saga_app.kafka.messages import Outgoing, outgoing
from saga_app.kafka.reachable import reach
from saga_app.settings import Settings
from saga_app.topics import Topic

#: Seconds until a record must be taken by the broker.
PATIENCE: Final = 10.0
#: Seconds that a topic, only just created, may take to be known to every broker.
NEW_FOR: Final = 2.0


class Sent(NamedTuple):
    """Where a record stands now."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"sent to {self.topic}[{self.partition}] at offset {self.offset}"


class Unsure(Exception):
    """The broker did not say that it took a record. It may have: a timeout is no refusal."""


def checked(fields: Mapping[str, Any]) -> Record:
    """The record with these fields, read as a worker would read it; `Rejected` if it would be a dead letter."""
    return read(json.dumps({name: value for name, value in fields.items() if value is not None}).encode())


def read(value: bytes) -> Record:
    """The record in JSON as it was typed; `Rejected` if a worker would not take it, typed or as it is sent."""
    record = wire.decode(value)
    # What is sent has its defaults filled in, so it may be longer than what was typed.
    wire.decode(wire.encode(record))
    return record


class Sender:
    """One connection, made with the first record; everything may be called again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: set[str] = set()
        self._errors: list[str] = []
        self._producer: Producer | None = None

    def send(self, record: Record) -> Sent:
        """One record; its position. `BrokerUnreachable`, `TopicsWrong` before it is sent, `Unsure` after."""
        return self.send_all([record])[0]

    def send_all(self, records: Iterable[Record]) -> list[Sent]:
        """Many records; their positions, in the order of the records."""
        return self.post(map(outgoing, records))

    def send_everywhere(self, record: Record) -> list[Sent]:
        """The same record to every partition of its inbox, as a change of policy needs it."""
        one = outgoing(record)
        return self.post(one._replace(partition=each) for each in range(self._settings.partitions))

    def post(self, records: Iterable[Outgoing]) -> list[Sent]:
        """Records as they are, to where they say; their positions, in order."""
        self._errors.clear()
        sent: list[Sent | None] = []
        for index, record in enumerate(records):
            self._find(record.topic)
            sent.append(None)
            self._produce(record, partial(self._delivered, sent, index))
            if self._errors:
                break
        if self._producer is not None:
            self._producer.flush(PATIENCE + 1)
        taken = [each for each in sent if each is not None]
        if len(taken) < len(sent):
            raise Unsure(
                f"{self._settings.broker} took {len(taken)} of {len(sent)} records within {PATIENCE:.0f} s "
                f"({self._errors[0] if self._errors else 'no answer'}); `saga doctor` looks at everything"
            )
        return taken

    def _find(self, topic: str) -> None:
        """`TopicsWrong` unless the topic is there with all its partitions; the producer would wait in vain."""
        if topic in self._known:
            return
        reach(self._settings)
        until = time.monotonic() + NEW_FOR
        wanted = [Topic(topic, self._settings.partitions, {})]
        while (found := topic_admin.check(self._settings, wanted)).missing:
            if time.monotonic() > until:
                raise topic_admin.TopicsWrong(
                    f"topic {topic} is not on {self._settings.broker}; create it: saga topics --create"
                )
            time.sleep(0.1)
        if found.wrong:
            raise topic_admin.TopicsWrong(f"{found.wrong[0]}; set SAGA_PARTITIONS to what the topics have")
        self._known.add(topic)

    def _produce(self, record: Outgoing, delivered: Any) -> None:
        if self._producer is None:
            self._producer = self._connected()
        producer = self._producer
        partition = -1 if record.partition is None else record.partition
        headers = list(record.headers)
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
            {
                **self._settings.kafka,
                # Errors reach us with each record; what librdkafka would print is not for people.
                "log_level": 0,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                # The broker knows what each topic takes; the client's own limit is lower.
                "message.max.bytes": topics.LARGEST_IN_LOG,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": int(PATIENCE * 1000),
            }
        )

    def _delivered(
        self, sent: list[Sent | None], index: int, error: KafkaError | None, message: Message
    ) -> None:
        if error is not None:
            self._errors.append(f"{message.topic()}: {refused(error) or error.str()}")
        else:
            sent[index] = Sent(message.topic(), message.partition(), message.offset())
