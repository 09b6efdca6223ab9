"""What a page can do: the same records that the commands send. Blocking; called in a thread."""

from saga_app import topics, wire
from saga_app.core.records import OrderPlaced
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Replay
from saga_app.dead_letters.reader import Letterbox
from saga_app.dead_letters.replay import ReplayPlan, plan
from saga_app.dead_letters.resend import post
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Outgoing
from saga_app.kafka.sender import Sender, checked
from saga_app.settings import Settings


class NotDone(Exception):
    """Nothing was sent; the message says why."""


def cancel(settings: Settings, order_id: str, note: str) -> str:
    """Asks for the order's cancellation; where the record stands."""
    fields = {"type": "CancellationRequested", "order_id": order_id, "note": note or None}
    return str(Sender(settings).send(checked(fields)))


def nudge(settings: Settings, order_id: str, placed: tuple[int, int]) -> str:
    """Sends the order's own first record again, from partition and offset of checkout's inbox; where it stands now.

    Whoever has decided sends the recorded outcome again, so an order whose record was lost on its way goes on; and as
    every effect has an identity, nothing happens twice.
    """
    value = raw(settings, topics.CHECKOUT, *placed)
    if value is None:
        raise NotDone(f"The record that placed it is not in {topics.CHECKOUT} any more.")
    record = wire.decode(value)
    if not isinstance(record, OrderPlaced) or record.order_id != order_id:
        raise NotDone("The order database is a copy of other topics: saga orderdb rebuild makes it anew.")
    partition = topics.partition_of(order_id, settings.partitions)
    (sent,) = Sender(settings).post([Outgoing(topics.CHECKOUT, order_id.encode(), value, partition)])
    return str(sent)


def raw(settings: Settings, topic: str, partition: int, offset: int) -> bytes | None:
    """The value of one record, or None if it is not there (any more)."""
    for chunk in chunks(settings.kafka, topic, partition, offset, offset + 1):
        for message in chunk:
            if message.offset() == offset:
                value: bytes | None = message.value()
                return value
    return None


def dry_run(settings: Settings, place: LetterId) -> ReplayPlan:
    """What sending the letter again would send. `Stays` says why not; `NotDone` if it is not there."""
    letter, replays, _ = _letter(settings, place)
    return plan(letter, replays, settings.partitions)


def replay(settings: Settings, place: LetterId, *, force: bool) -> str:
    """Sends the letter again, and marks it; where it stands now."""
    letter, replays, _ = _letter(settings, place)
    planned = plan(letter, replays, settings.partitions, force=force)
    ((*places,),) = post(Sender(settings), [planned])
    return ", ".join(map(str, places))


def _letter(settings: Settings, place: LetterId) -> tuple[Letter, list[Replay], Letterbox]:
    letterbox = Letterbox(settings)
    replays = letterbox.replays().get(place, [])
    for letter in letterbox.letters():
        if letter.id == place:
            return letter, replays, letterbox
    raise NotDone(f"{place} is not in {topics.DEAD_LETTERS} (any more).")
