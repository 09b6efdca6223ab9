"""Records in partitions that somebody added to an inbox: no worker reads them, so they are sent where they belong."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from confluent_kafka import Message, TopicPartition

from saga_app import topics, wire
from saga_app.core.errors import Rejected
from saga_app.core.numbers import Offset
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Outgoing, Place
from saga_app.kafka.sender import Sender
from saga_app.settings import Settings


class Moved(NamedTuple):
    """An added partition, and how many of its records were sent on."""

    place: Place
    records: int


def move(settings: Settings) -> Iterator[Moved]:
    """Sends on what is in the added partitions of the inboxes, then deletes it there.

    A run that ends in between sends the same again, and a repeat does no harm. Raises `KafkaException`,
    `DeliveryUnknown` and `TimeoutError`.
    """
    admin = Admin(settings)
    counts = offsets.partition_counts(admin, topics.INBOXES)
    sender = Sender(replace(settings, added_partitions="leave"))
    for place, (begin, end) in offsets.added(admin, counts, settings.partitions).items():
        sent = 0
        for chunk in chunks(settings.kafka, *place, begin, end, "read_committed"):
            sent += len(sender.post(_outgoing(place[0], each, settings.partitions) for each in chunk))
        if begin < end:
            _delete(admin, place, end)
        yield Moved(place, sent)


def _outgoing(topic: str, message: Message, partitions: int) -> Outgoing:
    """The same record for the partition of its key; for the first one where it cannot be read, as a dead letter is."""
    key, value = message.key(), message.value()
    try:
        partition = topics.partition_for(wire.decode(value), partitions)
    except Rejected:
        partition = 0
    return Outgoing(topic, key, value, partition, headers_of(message))


def _delete(admin: Admin, place: Place, end: Offset) -> None:
    for future in admin.delete_records([TopicPartition(*place, end)]).values():
        future.result(offsets.TIMEOUT)
