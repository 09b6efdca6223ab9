"""A shop: sends records to their inboxes as people's tools do, and can send all of them again."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import Producer

from harness.orders import Sent
from saga_app import topics, wire


class Produced(NamedTuple):
    """One record as it was given to the producer."""

    topic: str
    value: bytes | None
    key: bytes | None
    options: dict[str, Any]


class Shop:
    """Sends records, and remembers them."""

    def __init__(self, broker: str, partitions: int = topics.DEFAULT_PARTITIONS, log_level: int = 3) -> None:
        self.broker = broker
        self.partitions = partitions
        self.outbox: list[Produced] = []
        self._refused: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": broker,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "acks": "all",
                "enable.idempotence": True,
                # A frozen broker keeps its connections: its partitions' new leaders are asked for sooner than in 60 s.
                "socket.timeout.ms": 5_000,
                "log_level": log_level,
            }
        )

    def send(self, records: Iterable[Sent]) -> int:
        """Sends all, each with its right key, and waits until the broker has them; how many.

        All are made before the first is sent: they come in one burst, faster than workers end orders.
        """
        made = [_made(fields) for fields in records]
        for each in made:
            self._send(each)
        self.flush()
        return len(made)

    def post(self, fields: Sent) -> None:
        """One record with its right key, without waiting for the broker."""
        self._send(_made(fields))
        self._producer.poll(0)

    def policy(self, topic: str, **fields: Any) -> None:
        """A change of policy: one record, without a key, as anybody may send it."""
        self.raw(topic, json.dumps({"type": "PolicyChanged", **fields}).encode())
        self.flush()

    def raw(self, topic: str, value: bytes | None, key: bytes | None = None, **options: Any) -> None:
        """One record, just as it is."""
        self._send(Produced(topic, value, key, options))

    def send_again(self) -> int:
        """The whole input once more, in the same order; how many records."""
        for produced in self.outbox:
            self._produce(produced)
        self.flush()
        return len(self.outbox)

    def flush(self) -> None:
        """Waits until the broker has everything."""
        left = self._producer.flush(60)
        assert left == 0 and not self._refused, (
            f"{left} records were not taken by the broker: {self._refused}"
        )

    def _send(self, produced: Produced) -> None:
        self.outbox.append(produced)
        self._produce(produced)

    def _produce(self, produced: Produced) -> None:
        topic, value, key, options = produced
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered, **options)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._refused.append(f"{message.topic()}: {error}")


def _made(fields: Sent) -> Produced:
    value = json.dumps(fields).encode()
    record = wire.decode(value)
    return Produced(topics.topic_of(record), value, topics.key_of(record).encode(), {})
