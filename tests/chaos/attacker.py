"""An attacker with the right to write to the inboxes: its records are made to stop, to drown or to mislead a worker."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaException, Producer

from saga_app import topics, wire
from saga_app.core.records import FROM_PEOPLE
from saga_app.kafka.messages import outgoing
from tests.chaos.watch import FORGED, PREFIX
from tests.support.corpus import CORPUS, GOOD

#: More than a record may have when it is unpacked: a broker that unpacks it refuses it.
BOMB: Final = 3_000_000
#: Nearly as much as a record may have.
LARGE: Final = 900_000
#: As many as the broker takes, and each costs an object.
HEADERS: Final = 5_000
HUGE: Final = 2**62
#: Seconds that a transaction stays open, at most.
OPEN: Final = 1.0
CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
#: Seconds until the broker must have answered; it may be away.
ANSWER: Final = 5.0
#: Record types that only services write, those about whole partitions among them.
INTERNAL: Final = sorted(GOOD.keys() - {each.__name__ for each in FROM_PEOPLE})
RETENTION: Final = ("RetentionStarted", "SegmentsClosed", "SegmentsPurged", "OrdersEvicted")
#: The load places fewer, so some of these ids are used and some are not.
MOST_ORDERS: Final = 10_000


class Attacker:
    """Sends hostile records from a thread of its own, so many a second (none at a rate of 0), until it is closed."""

    def __init__(self, broker: str, seed: str, rate: float) -> None:
        self._chance = random.Random(f"attacker {seed}")
        self._config: dict[str, str | int] = {
            "bootstrap.servers": broker,
            "log_level": 0,
            "message.max.bytes": 2 * BOMB,
            "partitioner": "murmur2_random",
        }
        self._rate = rate
        self._closed = threading.Event()
        #: By kind: sent, and refused by the broker.
        self.sent: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._kinds: dict[str, Callable[[], None]] = {
            "unpacks to more than a record may have": self._bomb,
            "packed digits": self._digits,
            "thousands of headers": self._headers,
            "bytes that nobody can read": self._bytes,
            "in the name of a service": self._forged,
            "retention with huge numbers": self._retention,
            "an open transaction": self._transaction,
        }
        self._producers = {
            codec: Producer({**self._config, "compression.type": codec, "delivery.timeout.ms": 5000})
            for codec in CODECS
        }
        self._transactions: Producer | None = None
        self._kind = ""
        self._thread = threading.Thread(target=self._run, name="attacker", daemon=True)

    def start(self) -> None:
        """The attack begins."""
        if self._rate:
            self._thread.start()

    def close(self) -> None:
        """Returns when the last record is sent, and no transaction is open."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(1 / self._rate):
            kind = self._kind = self._chance.choice(list(self._kinds))
            # The broker may be away: it is one of the faults.
            with suppress(KafkaException, BufferError):
                self._kinds[kind]()
                self.sent[kind] += 1
            for producer in self._producers.values():
                producer.poll(0)
        for producer in self._producers.values():
            producer.flush(ANSWER)

    def _bomb(self) -> None:
        self._send(b"0" * BOMB, codec=self._chance.choice(CODECS[1:]))

    def _digits(self) -> None:
        digits = b"".join(b"%d" % self._chance.getrandbits(64) for _ in range(100))
        self._send(digits * (LARGE // len(digits)), codec=self._chance.choice(CODECS))

    def _headers(self) -> None:
        self._send(b"{}", headers=[("", b"")] * HEADERS)

    def _bytes(self) -> None:
        bad = self._chance.choice(CORPUS)
        self._send(bad.value, headers=[("\u202e", self._chance.randbytes(8))])

    def _forged(self) -> None:
        """A refund, a completion, ... of an order that there may be, in the inbox to which it belongs."""
        kind = self._chance.choice(INTERNAL)
        order_id = f"{PREFIX}{self._chance.randrange(1, MOST_ORDERS)}"
        fields = {**GOOD[kind], **({"order_id": order_id} if "order_id" in GOOD[kind] else {})}
        if "order" in fields:
            fields["order"] = {**fields["order"], "order_id": order_id}
        made = outgoing(wire.decode(json.dumps({"type": kind, **fields}).encode()))
        self._producers["none"].produce(
            made.topic, made.value, made.key, headers=[(FORGED, b"")], on_delivery=self._delivered()
        )

    def _retention(self) -> None:
        kind = self._chance.choice(RETENTION)
        numbers = {name: HUGE for name, value in GOOD[kind].items() if isinstance(value, int)}
        self._send(json.dumps({"type": kind, **GOOD[kind], **numbers}).encode())

    def _transaction(self) -> None:
        if self._transactions is None:
            producer = Producer({**self._config, "transactional.id": "attacker"})
            producer.init_transactions(ANSWER)
            self._transactions = producer
        try:
            self._transactions.begin_transaction()
            self._transactions.produce(self._chance.choice(topics.INBOXES), b"never committed", b"attacker")
            self._transactions.flush(ANSWER)
            self._closed.wait(self._chance.uniform(0, OPEN))
            self._transactions.abort_transaction(ANSWER)
        except KafkaException:
            # Its state is unknown; a new producer of this name ends what the old one left open.
            self._transactions = None
            raise

    def _send(
        self,
        value: bytes | None,
        *,
        codec: str = "none",
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        topic = self._chance.choice(topics.INBOXES)
        key = self._chance.choice((None, b"attacker", b"\xff\xfe", b"x" * 1000))
        partition = self._chance.randrange(topics.DEFAULT_PARTITIONS)
        self._producers[codec].produce(
            topic, value, key, partition, headers=headers or [], on_delivery=self._delivered()
        )

    def _delivered(self) -> Callable[[object, object], None]:
        kind = self._kind

        def delivered(error: object, message: object) -> None:
            if error is not None:
                self.refused[kind] += 1

        return delivered
