"""The reader: fetches the inboxes with librdkafka, in a thread of its own. Membership and commits stay with Faust.

Faust's fetch loop spends 50 to 200 us per record and can deliver records of an earlier assignment, or skip those that
were fetched while tables were restored. Here partitions are assigned by hand, from positions that we know, and only
after the rebalance is over.

One consumer reads all inboxes: at a moderate load most of what a record costs is that threads are woken for it. An
inbox whose records wait too long for their rounds is taken out of the assignment, and put back from the position that
we know; librdkafka's own pause would outlive an assignment.

What was in an inbox before the worker came may unpack to very much (`saga_app.kafka.raw`), so its batches are looked at
first, and up to behind the last dense one a partition is read by that client. It also reads where an offset is missing
or nothing comes: a broker takes batches whose records lie about their offsets, or that librdkafka cannot parse, and
librdkafka hands on the one and stops at the other without a word.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from saga_app.core.numbers import Generation, Offset
from saga_app.engine.commit_note import UNKNOWN_EPOCH
from saga_app.engine.exits import Exit, Fatal, ends_process
from saga_app.engine.positions import cut, shortened
from saga_app.kafka.broker_errors import refused
from saga_app.kafka.dense import DenseBatches, before, in_order
from saga_app.kafka.headers import headers_of
from saga_app.kafka.liveness import Liveness
from saga_app.kafka.messages import Batch, Fetch, Message, Place, size_of
from saga_app.kafka.raw import RawClient
from saga_app.kafka.retries import RETRIABLE
from saga_app.settings import readers_group

logger = logging.getLogger(__name__)

NO_EPOCHS: Final[Mapping[Place, int]] = MappingProxyType({})
#: Records of one fetch at most.
MOST_RECORDS: Final = 2_000
#: KiB that the client may hold of what it has fetched ahead, and that one answer brings. As objects, a record of empty
#: headers takes forty times its bytes.
MOST_AHEAD: Final = 2 * 1024
#: Seconds until a dense partition is asked again that an open transaction, or no room, has stopped.
AGAIN: Final = 0.5
#: Seconds in which a record must come of a partition that has more.
STUCK: Final = 5.0


class Reader:
    """Reads assigned partitions of all inboxes from given positions and hands over what each fetch brought."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topics: Sequence[str],
        deliver: Callable[[Mapping[str, Fetch]], None],
        has_room: Callable[[str], bool],
    ) -> None:
        self.topics = topics
        self._deliver = deliver
        self._has_room = has_room
        self._wanted: tuple[dict[Place, Offset], Generation, dict[Place, int]] | None = None
        self._changed = threading.Event()
        self._running = True
        self._next: dict[Place, Offset] = {}
        #: The leader epoch of the last record that was read of each partition.
        self._epochs: dict[Place, int] = {}
        #: Inboxes that are not assigned at present, because there is no room.
        self._held: set[str] = set()
        self._ends: dict[Place, Offset] = {}
        #: Where the last dense batch ends of the partitions that are read with care; no other client has these.
        self._dense: dict[Place, Offset] = {}
        self._dense_at = 0.0
        self._batches_seen = DenseBatches()
        self._batches = RawClient(config, topics)
        #: True if the log says that nobody answers it.
        self._is_told = False
        self._looked = 0.0
        #: Where each partition was, and since when.
        self._since: dict[Place, tuple[Offset, float]] = {}
        self._generation = Generation(0)
        self._liveness = Liveness(topics[0])
        self._config = {
            **config,
            "group.id": readers_group(config),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "max.poll.interval.ms": 86_400_000,
            # What is assigned while a fetch waits at the broker is asked for with the next one.
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 20,
            "queued.max.messages.kbytes": MOST_AHEAD,
            "fetch.max.bytes": MOST_AHEAD * 1024,
            "fetch.message.max.bytes": 1024 * 1024,
            "socket.nagle.disable": True,
        }
        self._thread = threading.Thread(target=ends_process(self._run), name="saga-reader", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def assign(
        self,
        positions: Mapping[Place, Offset],
        generation: Generation,
        epochs: Mapping[Place, int] = NO_EPOCHS,
    ) -> None:
        """Reads these partitions from these offsets on; batches carry the generation.

        `epochs` are the leader epochs of the records before: the broker is asked whether it still has those.
        """
        self._wanted = (dict(positions), generation, dict(epochs))
        self._changed.set()

    def unassign(self) -> None:
        """Stops reading; batches on their way carry their generation."""
        self._wanted = ({}, self._generation, {})
        self._changed.set()

    def behind(self, topic: str) -> int:
        """Records that are in the inbox and not fetched, as far as the last fetches told."""
        ends = self._ends.items()
        return sum(max(0, end - self._next.get(place, end)) for place, end in ends if place[0] == topic)

    def close(self) -> None:
        """Ends the thread."""
        self._running = False
        self._changed.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        consumer = Consumer(self._config)
        try:
            while self._running:
                if self._changed.is_set():
                    self._change(consumer)
                    self._liveness.heard()
                if not self._next:
                    self._changed.wait(0.5)
                    continue
                self._look(consumer)
                self._make_way(consumer)
                self._read_dense(consumer)
                first = consumer.poll(0.01 if self._held or self._dense else 0.1)
                if first is not None:
                    self._liveness.heard()
                    self._hand_over([first, *consumer.consume(MOST_RECORDS - 1, 0)], consumer)
                elif self._liveness.is_cut_off(consumer):
                    logger.warning("no broker answers the reader of the inboxes; it connects anew")
                    consumer.close()
                    consumer = Consumer(self._config)
                    self._assign(consumer)
        except Exception as error:
            raise Fatal(Exit.ROUND_FAILED, f"reading {', '.join(self.topics)}: {error!r}") from error
        # Not before the end of the process: this waits for the broker.
        consumer.close()
        self._batches.close()

    def _change(self, consumer: Consumer) -> None:
        self._changed.clear()
        wanted = self._wanted
        if wanted is None:
            return
        self._next, self._generation, self._epochs = dict(wanted[0]), wanted[1], dict(wanted[2])
        self._look_ahead()
        self._assign(consumer)

    def _look_ahead(self) -> None:
        """Finds the dense batches of all that is to be read; it tries until a broker answers, or something changes."""
        self._dense = {}
        while self._next and self._running and not self._changed.is_set():
            try:
                self._dense = self._batches_seen.find(self._batches, self._next)
                self._is_told = False
                return
            except TimeoutError as error:
                self._tell(error)
            self._changed.wait(AGAIN)

    def _read_dense(self, consumer: Consumer) -> None:
        """Reads some of each partition with dense batches; behind the last of them the consumer goes on."""
        if not self._dense or time.monotonic() < self._dense_at:
            return
        self._dense_at = time.monotonic() + AGAIN
        try:
            for place in [each for each in self._dense if each[0] not in self._held]:
                self._read_some(place, consumer)
            self._is_told = False
        except TimeoutError as error:
            self._tell(error)
        self._liveness.heard()

    def _tell(self, error: TimeoutError) -> None:
        """Logs once, until there is an answer: an outage is one line."""
        if not self._is_told:
            logger.warning("the reader of the inboxes: %s; it tries again", error)
        self._is_told = True

    def _read_some(self, place: Place, consumer: Consumer) -> None:
        end = self._dense[place]
        records, reached = self._batches.read(place, self._next[place], end)
        if reached > self._next[place]:
            self._deliver({place[0]: [self._batch(place, records, reached)]})
            self._dense_at = 0.0
        if reached >= end:
            del self._dense[place]
            consumer.incremental_assign([self._from(place)])

    def _assign(self, consumer: Consumer) -> None:
        """Everything from where it is; what has no room is left out again by `_make_way`."""
        self._held = set()
        self._ends = {}
        if self._next:
            consumer.assign(self._places(self.topics))
        else:
            consumer.unassign()

    def _make_way(self, consumer: Consumer) -> None:
        """Goes on without the inboxes that have no room, and with those that have some again."""
        full = {topic for topic in self.topics if not self._has_room(topic)}
        if full == self._held:
            return
        if places := self._places(full - self._held):
            consumer.incremental_unassign(places)
        if places := self._places(self._held - full):
            consumer.incremental_assign(places)
        self._held = full

    def _places(self, topics: Collection[str]) -> list[TopicPartition]:
        """Their partitions that the consumer reads, and where each is to be read from."""
        return [self._from(place) for place in self._next if place[0] in topics and place not in self._dense]

    def _from(self, place: Place) -> TopicPartition:
        epoch = self._epochs.get(place, UNKNOWN_EPOCH)
        return TopicPartition(*place, self._next[place], leader_epoch=epoch)

    def _look(self, consumer: Consumer) -> None:
        """Once a second: where each partition ends, as librdkafka knows it without asking."""
        now = time.monotonic()
        if now - self._looked < 1.0:
            return
        self._looked = now
        self._ends = {
            place: Offset(consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1])
            for place in self._next
        }
        since, self._since = self._since, {}
        for place, position in self._next.items():
            at, began = since.get(place, (position, now))
            waits = at == position < self._ends[place] and place[0] not in self._held
            self._since[place] = position, began if waits else now
            if waits and now - began >= STUCK and place not in self._dense:
                self._take_care(place, consumer)

    def _take_care(self, place: Place, consumer: Consumer) -> None:
        """Reads this partition with the other client up to its present end."""
        if place not in self._dense and place[0] not in self._held:
            consumer.incremental_unassign([TopicPartition(*place)])
        end = consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1]
        self._dense[place] = end = Offset(max(end, self._next[place] + 1))
        self._batches_seen.note(place, end)
        self._dense_at = 0.0

    def _hand_over(self, fetched: list[KafkaMessage], consumer: Consumer) -> None:
        found: dict[Place, list[KafkaMessage]] = {}
        failed: list[KafkaMessage] = []
        for each in fetched:
            if each.error() is not None:
                failed.append(each)
                continue
            found.setdefault((each.topic(), each.partition()), []).append(each)
        fetch: dict[str, list[Batch]] = {}
        for place, messages in found.items():
            if place not in self._next or place in self._dense:
                continue
            # What lies below belongs to an earlier assignment, or lies.
            following, gaps = in_order(messages, self._next[place])
            lies = self._batches.has_records(place, gaps)
            if lies:
                following = before(following, gaps[0].start)
            if following:
                fetch.setdefault(place[0], []).append(self._batch(place, following))
            if lies:
                self._take_care(place, consumer)
        if fetch:
            self._deliver(fetch)
        for each in failed:
            self._check(each.error(), each, consumer)

    def _batch(self, place: Place, fetched: Sequence[KafkaMessage], reached: Offset | None = None) -> Batch:
        """Of these records a batch, which ends behind the last of them, or at `reached`."""
        messages = [
            Message(Offset(each.offset()), each.timestamp()[1], each.key(), each.value(), headers_of(each))
            for each in fetched
        ]
        start = self._next[place]
        end = Offset(messages[-1].offset + 1) if reached is None else reached
        self._next[place] = end
        epoch = fetched[-1].leader_epoch() if fetched else self._epochs.get(place)
        self._epochs[place] = epoch = UNKNOWN_EPOCH if epoch is None else epoch
        size = sum(map(size_of, messages))
        return Batch(place[1], start, end, self._generation, messages, size, epoch)

    def _check(self, error: KafkaError, message: KafkaMessage, consumer: Consumer) -> None:
        if error.code() in RETRIABLE or error.retriable():
            return
        topic, partition = place = message.topic(), message.partition()
        position = self._next.get(place)
        if position is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            asked = message.offset()
            if (asked is not None and asked > position) or place in self._dense:
                # librdkafka has asked for what comes behind the offset of a record that lies.
                self._take_care(place, consumer)
                return
            first, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)
            if position < first:
                raise Fatal(Exit.RECORDS_CUT, cut(topic, partition, position, first))
            # Its end, or records that were read: then a later leader has others at their offsets.
            raise Fatal(Exit.INBOX_CUT, f"{shortened(topic, partition, position, end)} [{error.str()}]")
        where = f"reading {topic}:{partition}:{position}"
        if words := refused(error):
            raise Fatal(Exit.BROKER_REFUSED, f"{where}: {words}")
        raise Fatal(Exit.ROUND_FAILED, f"{where}: {error}")
