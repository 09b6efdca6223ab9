"""The reader: fetches one inbox with librdkafka, in a thread of its own. Group membership and commits stay with Faust.

Faust's fetch loop spends 50 to 200 us per record and can deliver records of an earlier assignment, or skip those that
were fetched while tables were restored. Here partitions are assigned by hand, from positions that we know, and only
after the rebalance is over.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from saga_app.durable.fatal import Exit, die
from saga_app.durable.patience import MOVING
from saga_app.durable.ports import Batch, Fetch, Message
from saga_app.durable.refusal import refused
from saga_app.settings import readers_group

#: Records of one fetch at most.
MOST_RECORDS: Final = 2_000


class Reader:
    """Reads assigned partitions from given positions and hands over batches."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        deliver: Callable[[Fetch], None],
        has_room: Callable[[], bool],
    ) -> None:
        self.topic = topic
        self._deliver = deliver
        self._has_room = has_room
        self._wanted: tuple[dict[int, int], int] | None = None
        self._changed = threading.Event()
        self._running = True
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._looked = 0.0
        self._generation = -1
        self._config = {
            **config,
            "group.id": readers_group(config),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "max.poll.interval.ms": 86_400_000,
            "fetch.wait.max.ms": 500,
            "fetch.queue.backoff.ms": 20,
            "queued.max.messages.kbytes": 16 * 1024,
            "fetch.message.max.bytes": 1024 * 1024,
            "socket.nagle.disable": True,
        }
        self._thread = threading.Thread(target=self._run, name=f"saga-reader-{topic}", daemon=True)
        self._thread.start()

    def assign(self, positions: Mapping[int, int], generation: int) -> None:
        """Reads these partitions from these offsets on; batches carry the generation."""
        self._wanted = (dict(positions), generation)
        self._changed.set()

    def unassign(self) -> None:
        """Stops reading; batches on their way carry the old generation."""
        self._wanted = ({}, -1)
        self._changed.set()

    def behind(self) -> int:
        """Records that are in the inbox and not fetched, as far as the last fetches told."""
        return sum(max(0, end - self._next.get(partition, end)) for partition, end in self._ends.items())

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
                self._look(consumer)
                if not self._next or not self._has_room():
                    self._changed.wait(0.5 if not self._next else 0.002)
                    continue
                first = consumer.poll(0.1)
                if first is not None:
                    self._hand_over([first, *consumer.consume(MOST_RECORDS - 1, 0)], consumer)
        except Exception as error:
            die(Exit.ROUND_FAILED, f"reading {self.topic}: {error!r}")
        finally:
            consumer.close()

    def _change(self, consumer: Consumer) -> None:
        self._changed.clear()
        wanted = self._wanted
        if wanted is None:
            return
        self._next, self._generation = dict(wanted[0]), wanted[1]
        self._ends = {}
        if self._next:
            consumer.assign([TopicPartition(self.topic, each, at) for each, at in self._next.items()])
        else:
            consumer.unassign()

    def _look(self, consumer: Consumer) -> None:
        """Once a second: where each partition ends, as librdkafka knows it without asking."""
        now = time.monotonic()
        if now - self._looked < 1.0:
            return
        self._looked = now
        places = {each: TopicPartition(self.topic, each) for each in self._next}
        self._ends = {
            each: consumer.get_watermark_offsets(place, cached=True)[1] for each, place in places.items()
        }

    def _hand_over(self, fetched: list[KafkaMessage], consumer: Consumer) -> None:
        found: dict[int, list[Message]] = {}
        for each in fetched:
            error = each.error()
            if error is not None:
                self._check(error, each, consumer)
                continue
            message = Message(
                each.offset(), each.timestamp()[1], each.key(), each.value(), each.headers() or ()
            )
            found.setdefault(each.partition(), []).append(message)
        batches = []
        for partition, messages in found.items():
            start = self._next.get(partition)
            # What lies below belongs to an earlier assignment.
            messages = [message for message in messages if start is not None and message.offset >= start]
            if start is None or not messages:
                continue
            end = messages[-1].offset + 1
            self._next[partition] = end
            size = sum(len(message.value or b"") for message in messages)
            batches.append(Batch(partition, start, end, self._generation, messages, size))
        if batches:
            self._deliver(batches)

    def _check(self, error: KafkaError, message: KafkaMessage, consumer: Consumer) -> None:
        if error.code() in MOVING or error.retriable():
            return
        partition, position = message.partition(), self._next.get(message.partition())
        if position is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            first, _ = consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=10)
            if position < first:
                die(Exit.RECORDS_CUT, cut(self.topic, partition, position, first))
        where = f"reading {self.topic}[{partition}] at offset {position}"
        if words := refused(error):
            die(Exit.BROKER_REFUSED, f"{where}: {words}")
        die(Exit.ROUND_FAILED, f"{where}: {error}")


def cut(topic: str, partition: int, position: int, first: int) -> str:
    """Why a worker must not go on: records are gone that nobody has decided, as far as it knows."""
    return (
        f"{topic}[{partition}] must be read from offset {position} on, but it begins at {first}: records were "
        "deleted before they were decided; docs/how-to/keep-topics-small.md says what to do"
    )
