"""The deliveries that wait or failed, as the topic `webhook_deliveries` has them; one for a process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Final

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.liveness import Liveness
from saga_app.settings import Settings, readers_group
from saga_app.topics import WEBHOOK_DELIVERIES
from saga_app.webhooks.deliveries import (
    DeliveryState,
    EndpointBegun,
    WebhookDelivery,
    read_value,
)

#: Deliveries of an endpoint that wait in one partition; with more, it reads no further outcomes.
MOST_WAITING: Final = 1_000
#: Seconds that a poll waits for a record.
_POLL: Final = 0.2
#: An endpoint, and a partition.
Queue = tuple[str, int]


class DeliveryBoard:
    """The last record of each delivery. Of one that failed only the time is kept."""

    def __init__(self) -> None:
        self.waiting: defaultdict[Queue, dict[str, WebhookDelivery]] = defaultdict(dict)
        self.failed: defaultdict[Queue, dict[str, int]] = defaultdict(dict)
        self.begun: dict[Queue, int] = {}
        #: By key, the offset of our own record, until it is read: what is read before it is older.
        self._ahead: dict[bytes, int] = {}

    def has_room(self, endpoint: str, partition: int) -> bool:
        """True if one more may wait."""
        return len(self.waiting[endpoint, partition]) < MOST_WAITING

    def wrote(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        """We wrote this record: it counts at once."""
        if offset > self._ahead.get(key, -1):
            self._ahead[key] = offset
            self._set(partition, key, value)

    def read(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        """A record of the topic, in order."""
        ahead = self._ahead.get(key, -1)
        if offset >= ahead:
            self._ahead.pop(key, None)
        if offset > ahead:
            self._set(partition, key, value)

    def _set(self, partition: int, key: bytes, value: bytes | None) -> None:
        endpoint, _, event = key.decode("utf-8", "replace").partition(" ")
        queue, found = (endpoint, partition), read_value(value)
        if isinstance(found, EndpointBegun):
            self.begun[queue] = found.offset
            return
        self.waiting[queue].pop(event, None)
        self.failed[queue].pop(event, None)
        if found is None or found.key.encode() != key:
            return
        if found.state is DeliveryState.WAITING:
            self.waiting[queue][event] = found
        else:
            self.failed[queue][event] = found.next_at


async def follow(
    settings: Settings, board: DeliveryBoard, caught_up: asyncio.Event, positions: dict[int, int]
) -> None:
    """Reads the topic from these positions, for ever; sets the event when all is read that was there at the start.

    A partition without a position is read from its beginning; the positions are kept up to date.

    Raises `KafkaException` if the broker refuses, and `ConnectionError` if it does not answer: then begin again.
    """
    loop = asyncio.get_running_loop()
    places = [(WEBHOOK_DELIVERIES, each) for each in range(settings.partitions)]
    with ThreadPoolExecutor(1, "saga-webhook-board") as executor:
        ends = await loop.run_in_executor(executor, lambda: dict(offsets.ends(Admin(settings), places)))
        consumer = Consumer(
            {
                **settings.kafka,
                "group.id": readers_group(settings.kafka),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": False,
            }
        )
        try:
            begin = await loop.run_in_executor(
                executor, lambda: dict(offsets.beginnings(Admin(settings), places))
            )
            for (_, partition), offset in begin.items():
                positions[partition] = max(offset, positions.get(partition, 0))
            left: dict[int, int] = {each[1]: end for each, end in ends.items() if end > positions[each[1]]}
            consumer.assign([TopicPartition(*each, positions[each[1]]) for each in places])
            liveness = Liveness(WEBHOOK_DELIVERIES)
            while True:
                if not left:
                    caught_up.set()
                messages = await loop.run_in_executor(executor, _poll, consumer)
                if messages:
                    liveness.heard()
                elif await loop.run_in_executor(executor, liveness.is_cut_off, consumer):
                    raise ConnectionError(f"{settings.broker} does not answer")
                for message in messages:
                    _take(board, message, left, positions)
        finally:
            await loop.run_in_executor(executor, consumer.close)


def _poll(consumer: Consumer) -> list[KafkaMessage]:
    return [*consumer.consume(1, _POLL), *consumer.consume(1_000, 0)]


def _take(
    board: DeliveryBoard, message: KafkaMessage, left: dict[int, int], positions: dict[int, int]
) -> None:
    partition, offset = int(message.partition() or 0), int(message.offset() or 0)
    if message.error() is None:
        board.read(partition, offset, message.key() or b"", message.value())
        positions[partition] = offset + 1
        # The records before an end may have been compacted away, but never the last one.
        if offset + 1 >= left.get(partition, offset + 2):
            del left[partition]


def deliveries(settings: Settings) -> Iterator[tuple[int, WebhookDelivery]]:
    """All deliveries that wait or failed now, with their partitions. Raises `KafkaException`, `TimeoutError`."""
    return ((at, each) for at, each in contents(settings) if isinstance(each, WebhookDelivery))


def contents(settings: Settings) -> Iterator[tuple[int, WebhookDelivery | EndpointBegun]]:
    """All that the topic has now, with the partitions. Raises `KafkaException`, `TimeoutError`."""
    admin = Admin(settings)
    for partition in range(settings.partitions):
        place = (WEBHOOK_DELIVERIES, partition)
        begin, end = offsets.beginnings(admin, [place])[place], offsets.ends(admin, [place])[place]
        last: dict[bytes, bytes] = {}
        for message in chain.from_iterable(chunks(settings.kafka, *place, begin, end)):
            key, value = message.key() or b"", message.value()
            last.pop(key, None)
            if value is not None:
                last[key] = value
        for value in last.values():
            if (found := read_value(value)) is not None:
                yield partition, found
