"""Moves an inbox behind the offsets of all rows, where it lost its last records or was made anew.

Each row has the offset of its record as version, and a record at a lower offset counts as decided. So an inbox that
ends below its rows would swallow new records without a word. The rows themselves are right: what was decided was
published.
Here the inbox is filled up to where it ended, and workers go on behind that:

- The committed offsets are marked, as in a rebuild, so that no worker starts meanwhile.
- Padding takes the lost offsets; no worker ever reads it.
- Records that came since the loss are written again behind the padding. Some may be older: a repeat does no harm.
- Everything below is deleted, and the offset behind the padding is committed: the inbox no longer tells how its rows
  came about, and says so by beginning there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from confluent_kafka import TopicPartition

from saga_app.audit import cuts
from saga_app.audit.refold import service_of
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.rows import version_of
from saga_app.engine.commit_note import UNKNOWN_EPOCH, note_in
from saga_app.engine.ports import row_in
from saga_app.kafka import offsets, topic_admin
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.commit_texts import ADVANCING, committed_texts
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Outgoing, Place
from saga_app.kafka.sender import Sender
from saga_app.kafka.truncation import is_cut
from saga_app.rebuild.marks import mark, must_have_all_rows, release
from saga_app.rebuild.survey import CannotRebuild, changelogs, no_worker_runs, nothing_else_is_unfinished
from saga_app.settings import Settings
from saga_app.topics import changelog

#: Milliseconds before the last row of a partition: records from there on are written again.
MARGIN: Final = 600_000
#: Records that are sent at once.
_AT_A_TIME: Final = 5_000
#: The key of padding.
_PADDING: Final = b"padding"


class InboxLoss(NamedTuple):
    """An inbox partition that ends before its rows do: it must begin at `target`.

    Records younger than `since`, Kafka's time in milliseconds, may be undecided.
    """

    place: Place
    end: Offset
    target: Offset
    since: int

    def __str__(self) -> str:
        topic, partition = self.place
        if self.end >= self.target:
            return (
                f"{topic}[{partition}] lost records below offset {self.target}, and others have their offsets"
            )
        return f"{topic}[{partition}] ends at offset {self.end}, and its rows reach up to {self.target}"


class _Reached(NamedTuple):
    """How far the rows of a partition reach: the offset behind the highest version, and Kafka's time of the newest."""

    offset: Offset
    time: int


def losses(settings: Settings) -> list[InboxLoss]:
    """The inbox partitions that lost records. Raises `CannotRebuild` and `KafkaException`."""
    no_worker_runs(settings)
    logs = changelogs(settings)
    if missing := topic_admin.check(settings, logs).missing:
        raise CannotRebuild(
            f"{', '.join(topic.name for topic in missing)} missing: the rows tell where the inboxes ended; without "
            "inboxes and changelogs see docs/how-to/recover.md, A whole cluster"
        )
    admin = Admin(settings)
    places = cuts.inboxes(settings)
    ends = offsets.ends(admin, places)
    notes = committed_texts(settings, places)
    nothing_else_is_unfinished(ADVANCING, notes.values())
    must_have_all_rows(settings, notes)
    ids = offsets.topic_ids(admin, {topic for topic, _ in places})
    found = []
    for place in places:
        committed, note = notes[place]
        reached = _reached(settings, admin, place)
        target = max(committed, reached.offset)
        if ends[place] < target or note == ADVANCING or _is_another(settings, place, committed, note, ids):
            found.append(InboxLoss(place, ends[place], target, reached.time - MARGIN))
    return found


def advance(settings: Settings, found: Iterable[InboxLoss]) -> int:
    """Moves these partitions; the number of records that were written again. It may be cut off, and run again.

    Raises `CannotRebuild`, `DeliveryUnknown` and `KafkaException`.
    """
    found = list(found)
    targets = {loss.place: loss.target for loss in found}
    admin, sender = Admin(settings), Sender(settings)
    mark(settings, targets, ADVANCING)
    again = 0
    for loss in found:
        records = list(_since(settings, loss))
        pads = [Outgoing(loss.place[0], _PADDING, None, loss.place[1])] * max(0, loss.target - loss.end)
        for record in (pads, records):
            for at in range(0, len(record), _AT_A_TIME):
                sender.post(record[at : at + _AT_A_TIME])
        again += len(records)
    below = [TopicPartition(*place, offset) for place, offset in targets.items() if offset]
    for future in admin.delete_records(below).values() if below else ():
        future.result(offsets.TIMEOUT)
    release(settings, targets)
    return again


def _is_another(
    settings: Settings, place: Place, committed: Offset, note: str, ids: Mapping[str, str]
) -> bool:
    """True if the committed offset is of an inbox, or of records, that are gone, though there are enough others."""
    noted = note_in(note)
    mark = None if noted is None else noted.inbox
    if mark is None:
        return False
    if mark.topic_id != ids[place[0]]:
        return True
    return mark.epoch != UNKNOWN_EPOCH and is_cut(settings.kafka, place, committed, mark.epoch)


def _since(settings: Settings, loss: InboxLoss) -> Iterator[Outgoing]:
    """The records that came after the last row was written, or not long before."""
    first = offsets.beginnings(Admin(settings), [loss.place])[loss.place]
    end = offsets.readable_ends(Admin(settings), [loss.place])[loss.place]
    for chunk in chunks(settings.kafka, *loss.place, first, end, "read_committed"):
        for each in chunk:
            if each.timestamp()[1] > loss.since and each.key() != _PADDING:
                yield Outgoing(loss.place[0], each.key(), each.value(), loss.place[1], headers_of(each))


def _reached(settings: Settings, admin: Admin, inbox: Place) -> _Reached:
    offset, time = FIRST, 0
    for table in service_of(inbox[0]).tables:
        place = (changelog(settings.app_id, table), inbox[1])
        end = offsets.ends(admin, [place])[place]
        for chunk in chunks(settings.kafka, *place, 0, end):
            for each in chunk:
                offset = max(offset, Offset(version_of(row_in(each.value(), headers_of(each))) + 1))
                time = max(time, each.timestamp()[1])
    return _Reached(offset, time)
