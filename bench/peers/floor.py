"""The floor: a plain confluent-kafka loop with RocksDB and a changelog. It promises nothing.

What is left out is what costs: nobody waits for the broker, a failed send is not noticed, a crash is not mended,
and there is no second worker to hand partitions to.
"""

import signal
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer
from pydantic_core import from_json, to_json
from rocksdict import Rdict

from bench.peers.place import Place, place
from bench.peers.rules import SERVICES, Row, key_of, topic_of

#: Records taken at once, and seconds between two commits.
MOST = 1_000
COMMIT_EVERY = 1.0


class FloorRows:
    """All tables in one database; every row goes to the changelog too."""

    def __init__(self, here: Place, produce: Callable[..., None]) -> None:
        self._rows: Any = Rdict(here.data)
        self._changelog = f"{here.group}-rows-changelog"
        self._produce = produce
        self.partition = 0

    def get(self, table: str, key: str) -> Row | None:
        row = self._rows.get(f"{table}:{key}".encode())
        return None if row is None else from_json(row)

    def put(self, table: str, key: str, row: Row) -> None:
        name, value = f"{table}:{key}".encode(), to_json(row)
        self._rows[name] = value
        self._produce(self._changelog, value, name, self.partition)


def main() -> None:
    here = place()
    servers = {"bootstrap.servers": here.broker}
    consumer = Consumer(
        {**servers, "group.id": here.group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    producer = Producer(
        {
            **servers,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    rows = FloorRows(here, producer.produce)
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
    consumer.subscribe(list(SERVICES))
    committed = time.monotonic()
    while not stop:
        first = consumer.poll(0.1)
        for message in [first, *consumer.consume(MOST, 0)] if first else []:
            rows.partition = message.partition()
            for sent in SERVICES[message.topic()](from_json(message.value()), rows):
                producer.produce(topic_of(sent), to_json(sent), key_of(sent))
        producer.poll(0)
        if time.monotonic() > committed + COMMIT_EVERY:
            consumer.commit(asynchronous=True)
            committed = time.monotonic()
    producer.flush(10)
    consumer.close()


if __name__ == "__main__":
    main()
