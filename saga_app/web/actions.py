"""The actions of the pages: they send the same records as the commands. Blocking, so they run in a thread."""

from collections.abc import Mapping, Sequence
from typing import Final

from saga_app import topics, wire
from saga_app.core.records import CancellationRequested, OrderPlaced
from saga_app.dead_letters import actions
from saga_app.dead_letters.actions import replay
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.replay import ReplayPlan
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.sender import Sender, checked
from saga_app.redaction import has_card_number
from saga_app.settings import Settings

__all__ = ["NothingSent", "cancel", "dismiss", "dry_run", "nudge", "raw", "replay"]

#: Characters of the note of a dismissal.
LONGEST_NOTE: Final = 200


class NothingSent(Exception):
    """Nothing was sent; the message says why."""


def cancel(settings: Settings, order_ids: Sequence[str], note: str) -> None:
    """Requests the cancellation of these orders. Nothing is sent if one of the records would be refused."""
    kind = CancellationRequested.__name__
    records = [checked({"type": kind, "order_id": each, "note": note or None}) for each in order_ids]
    Sender(settings).send_all(records)


def nudge(settings: Settings, placed: Mapping[str, tuple[int, int]]) -> None:
    """Sends the records that placed these orders again. By order, `placed` has their partition and offset.

    Each step that has decided sends its recorded outcome again, so an order goes on if a record was lost on its way.
    Every effect has an identity, so nothing happens twice.
    """
    Sender(settings).post([_placing(settings, order_id, place) for order_id, place in placed.items()])


def _placing(settings: Settings, order_id: str, place: tuple[int, int]) -> Outgoing:
    value = raw(settings, topics.CHECKOUT, *place)
    if value is None:
        raise NothingSent(f"The record that placed {order_id} is not in {topics.CHECKOUT} anymore.")
    record = wire.decode(value)
    if not isinstance(record, OrderPlaced) or record.order_id != order_id:
        raise NothingSent("The order database is a copy of other topics: saga orderdb rebuild makes it anew.")
    partition = topics.partition_of(order_id, settings.partitions)
    return Outgoing(topics.CHECKOUT, order_id.encode(), value, partition)


def raw(settings: Settings, topic: str, partition: int, offset: int) -> bytes | None:
    """The value of one record; None if the record has left the topic."""
    for chunk in chunks(settings.kafka, topic, partition, offset, offset + 1):
        for message in chunk:
            if message.offset() == offset:
                value: bytes | None = message.value()
                return value
    return None


def dry_run(settings: Settings, place: LetterId, corrected: bytes | None) -> ReplayPlan:
    """Returns the records that a replay would send, settled or not; see `dead_letters.actions`."""
    return actions.dry_run(settings, place, corrected, force=True)


def dismiss(settings: Settings, places: Sequence[LetterId], note: str) -> None:
    """Settles these letters with a note, without sending them. One that is settled already is left as it is."""
    if not note.strip() or len(note) > LONGEST_NOTE:
        raise NothingSent(f"A dismissal has a note of 1 to {LONGEST_NOTE} characters.")
    if has_card_number([note]):
        raise NothingSent("The note holds a card number; leave it out.")
    actions.dismiss(settings, places, note)
