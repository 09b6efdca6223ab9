"""The actions of the pages: they send the same records as the commands. Blocking, so they run in a thread."""

from saga_app import topics, wire
from saga_app.core.records import OrderPlaced
from saga_app.dead_letters.actions import dry_run, replay
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.sender import Sender, checked
from saga_app.settings import Settings

__all__ = ["NothingSent", "cancel", "dry_run", "nudge", "raw", "replay"]


class NothingSent(Exception):
    """Nothing was sent; the message says why."""


def cancel(settings: Settings, order_id: str, note: str) -> str:
    """Requests the cancellation of an order; returns the place of the record."""
    fields = {"type": "CancellationRequested", "order_id": order_id, "note": note or None}
    return str(Sender(settings).send(checked(fields)))


def nudge(settings: Settings, order_id: str, placed: tuple[int, int]) -> str:
    """Sends the record that placed the order again; returns its new place. `placed` is its partition and offset.

    Each step that has decided sends its recorded outcome again, so an order goes on if a record was lost on its way.
    Every effect has an identity, so nothing happens twice.
    """
    value = raw(settings, topics.CHECKOUT, *placed)
    if value is None:
        raise NothingSent(f"The record that placed it is not in {topics.CHECKOUT} anymore.")
    record = wire.decode(value)
    if not isinstance(record, OrderPlaced) or record.order_id != order_id:
        raise NothingSent("The order database is a copy of other topics: saga orderdb rebuild makes it anew.")
    partition = topics.partition_of(order_id, settings.partitions)
    (sent,) = Sender(settings).post([Outgoing(topics.CHECKOUT, order_id.encode(), value, partition)])
    return str(sent)


def raw(settings: Settings, topic: str, partition: int, offset: int) -> bytes | None:
    """The value of one record; None if the record has left the topic."""
    for chunk in chunks(settings.kafka, topic, partition, offset, offset + 1):
        for message in chunk:
            if message.offset() == offset:
                value: bytes | None = message.value()
                return value
    return None
