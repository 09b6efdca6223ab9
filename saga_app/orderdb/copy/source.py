"""The consumer of the copy: it reads all topics at once, from the offsets that the database knows."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from saga_app.core.numbers import Offset
from saga_app.kafka.dense import DenseBatches, before, in_order, is_written_by_people
from saga_app.kafka.liveness import Liveness
from saga_app.kafka.messages import Place
from saga_app.kafka.raw import RawClient
from saga_app.kafka.retries import RETRIABLE
from saga_app.settings import Settings, readers_group

#: A batch ends with so many records, or bytes.
MOST_RECORDS: Final = 5_000
MOST_BYTES: Final = 8 * 1024 * 1024
#: Records that are fetched before their bytes are counted.
_AT_A_TIME: Final = 500
#: Seconds to wait for the first record.
PATIENCE: Final = 0.2
#: Seconds without a record after which partitions that have more are read with care.
STUCK: Final = 3.0
#: Errors that tell an offset which librdkafka has reached.
_MOVED: Final = (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET)


class Fetched(NamedTuple):
    """Records, and the position after them in each partition that moved."""

    messages: list[Message]
    reached: dict[Place, int]


class SourceConsumer:
    """One consumer. Its methods block, at most for some tenths of a second."""

    def __init__(self, settings: Settings, start: Mapping[Place, int]) -> None:
        self.start = start
        self._next = dict(start)
        self._consumer = Consumer(
            {
                **settings.kafka,
                "group.id": readers_group(settings.kafka),
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "max.poll.interval.ms": 86_400_000,
                "fetch.wait.max.ms": 200,
                "fetch.queue.backoff.ms": 10,
                "queued.max.messages.kbytes": 16 * 1024,
            }
        )
        self._liveness = Liveness(next(iter(start))[0])
        #: Partitions that are read with care, and up to where; None until they are known. See `saga_app.kafka.dense`.
        self._dense: dict[Place, Offset] | None = None
        #: Where a batch may lie about its offsets, or stop librdkafka.
        self._open = {place for place in start if is_written_by_people(place[0])}
        self._heard = time.monotonic()
        self._batches = RawClient(settings.kafka, {topic for topic, _ in self._open})

    def _begin(self) -> dict[Place, Offset]:
        """Finds what must be read with care, and reads everything else from its position on."""
        dense: dict[Place, Offset] = {}
        open_ = {place: offset for place, offset in self.start.items() if place in self._open}
        if open_:
            dense = DenseBatches().find(self._batches, open_)
        rest = [TopicPartition(*place, offset) for place, offset in self.start.items() if place not in dense]
        self._consumer.assign(rest)
        return dense

    def _take_care(self, place: Place, dense: dict[Place, Offset]) -> None:
        """Reads this partition with the other client up to its present end."""
        if place not in dense:
            dense[place] = Offset(max(self._high(place), self._next[place] + 1))
            self._consumer.incremental_unassign([TopicPartition(*place)])

    def lag(self) -> int:
        """The number of records that are not read yet, by the ends that the last fetches named."""
        return sum(max(0, self._high(place) - offset) for place, offset in list(self._next.items()))

    def _high(self, place: Place) -> int:
        return int(self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1])

    def fetch(self) -> Fetched:
        """The records that wait. Raises `KafkaException` if this consumer cannot read on."""
        try:
            if self._dense is None:
                self._dense = self._begin()
            if self._dense and (fetched := self._fetch_dense(self._dense)).reached:
                return fetched
        except TimeoutError as silent:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, str(silent))) from silent
        return self._fetch_rest(self._dense)

    def _fetch_rest(self, dense: dict[Place, Offset]) -> Fetched:
        messages: list[Message] = []
        reached: dict[Place, int] = {}
        size = 0
        # `consume` waits until it has as many records as it may return.
        chunk = self._consumer.consume(1, PATIENCE)
        if chunk:
            self._liveness.heard()
            self._heard = time.monotonic()
        else:
            self._is_silent(dense)
        while chunk:
            for message in self._without_lies(chunk, reached, dense):
                place, offset = (message.topic(), message.partition()), message.offset()
                if (error := message.error()) is None:
                    messages.append(message)
                    size += len(message.value() or b"")
                    reached[place] = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    # The last offsets may have no records, such as the markers of transactions.
                    reached[place] = offset
                elif error.code() not in RETRIABLE and not error.retriable():
                    raise KafkaException(error)
            if len(messages) >= MOST_RECORDS or size >= MOST_BYTES:
                break
            chunk = self._consumer.consume(_AT_A_TIME, 0)
        moved = {place: offset for place, offset in reached.items() if offset > self._next.get(place, 0)}
        self._next.update(moved)
        return Fetched(messages, moved)

    def _is_silent(self, dense: dict[Place, Offset]) -> None:
        """Nothing came: perhaps no broker is there, or librdkafka has stopped at a batch."""
        if self._liveness.is_cut_off(self._consumer):
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "no broker answers"))
        if time.monotonic() - self._heard >= STUCK:
            self._heard = time.monotonic()
            for place in (each for each in self._open if self._high(each) > self._next[each]):
                self._take_care(place, dense)

    def _without_lies(
        self, chunk: Iterable[Message], reached: Mapping[Place, int], dense: dict[Place, Offset]
    ) -> Iterator[Message]:
        """The records and errors of a chunk; a partition in which a record lies is read with care from there on."""
        checked: dict[Place, list[Message]] = {}
        for message in chunk:
            place = (message.topic(), message.partition())
            if place not in self._open or (
                message.error() is not None and message.error().code() not in _MOVED
            ):
                yield message
            elif place not in dense:
                checked.setdefault(place, []).append(message)
        for place, messages in checked.items():
            following, gaps = in_order(messages, reached.get(place, self._next[place]))
            if self._batches.has_records(place, gaps):
                following = before(following, gaps[0].start)
                self._take_care(place, dense)
            yield from following

    def _fetch_dense(self, dense: dict[Place, Offset]) -> Fetched:
        """Some of one partition with dense batches; behind the last of them the consumer goes on."""
        place, end = next(iter(dense.items()))
        messages, reached = self._batches.read(place, self._next[place], end)
        moved: dict[Place, int] = {place: reached} if reached > self._next[place] else {}
        if not moved:
            # An open transaction is in the way; another partition may go on.
            dense[place] = dense.pop(place)
        self._next.update(moved)
        if reached >= end:
            del dense[place]
            self._consumer.incremental_assign([TopicPartition(*place, reached)])
        return Fetched(messages, moved)

    def close(self) -> None:
        """Gives up the connection."""
        self._consumer.close()
        self._batches.close()
