"""Sends records to their inboxes, as safely as a worker does: acks=all, idempotent, and it waits for the answer."""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app import topics, wire
from saga_app.commands.output import Failed
from saga_app.core.records import Record
from saga_app.settings import Settings

#: Seconds until a record must be taken by the broker.
PATIENCE: Final = 10.0


class Sent(NamedTuple):
    """Where a record stands now."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"sent to {self.topic}[{self.partition}] at offset {self.offset}"


def checked(fields: dict[str, Any]) -> Record:
    """The record, read as a worker would read it; `Rejected` if it would become a dead letter."""
    return wire.decode(json.dumps(fields, default=str).encode())


class Sender:
    """One connection; `send` may be called again."""

    def __init__(self, settings: Settings) -> None:
        self._broker = settings.broker
        self._partitions = settings.partitions
        self._sent: list[Sent] = []
        self._error: str | None = None
        self._producer = Producer(
            {
                **settings.kafka,
                "log_level": 0,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": int(PATIENCE * 1000),
            }
        )

    def send(self, record: Record) -> Sent:
        """One record; its position. `Failed` if the broker does not take it."""
        return self.send_all([record])[0]

    def send_all(self, records: Iterable[Record]) -> list[Sent]:
        """Many records; their positions, in the order in which the broker took them."""
        self._sent, self._error = [], None
        for record in records:
            key = topics.key_of(record).encode()
            self._produce(topics.topic_of(record), wire.encode(record), key)
        return self._wait()

    def send_everywhere(self, record: Record) -> list[Sent]:
        """The same record to every partition of its inbox, as a change of policy needs it."""
        self._sent, self._error = [], None
        key = topics.key_of(record).encode()
        for partition in range(self._partitions):
            self._produce(topics.topic_of(record), wire.encode(record), key, partition=partition)
        return self._wait()

    def _produce(self, topic: str, value: bytes, key: bytes, **options: int) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered, **options)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise Failed(f"{topic}: {error.args[0].str()}; run `saga topics --check`") from error
            else:
                self._producer.poll(0)
                return

    def _wait(self) -> list[Sent]:
        left = self._producer.flush(PATIENCE + 1)
        if self._error is not None or left:
            raise Failed(
                f"{self._broker} did not take the record within {PATIENCE:.0f} s ({self._error or 'no answer'}); "
                "is the broker running, is SAGA_BROKER right, and do the topics exist (`saga topics --check`)?"
            )
        return self._sent

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = self._error or f"{message.topic()}: {error.str()}"
        else:
            self._sent.append(Sent(message.topic(), message.partition(), message.offset()))
