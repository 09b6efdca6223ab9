"""Moves an inbox behind the offsets of all rows, where it lost its last records or was made anew.

Each row has the offset of its record as version, and a record at a lower offset counts as decided. So an inbox that
ends below its rows would swallow new records without a word. The rows themselves are right: what was decided was
published.
Here the inbox is filled up to where it ended, and workers go on behind that:

- The notes beside the committed offsets name no inbox from now on, so that no worker starts meanwhile. They keep the
  leader epoch, and the offset stays: a command that was killed knows what to write again.
- Padding takes the lost offsets; no worker ever reads it. Producers may go on: what they write is behind the padding
  from then on, or before its end.
- Only then are the records that came since the loss read, and written again behind the padding. Some may be older: a
  repeat does no harm.
- Everything below is deleted, and the offset behind the padding is committed: the inbox no longer tells how its rows
  came about, and says so by beginning there.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from confluent_kafka import TopicPartition

from saga_app.audit import cuts
from saga_app.core.numbers import FIRST, Offset
from saga_app.engine.commit_note import UNKNOWN_EPOCH, CommitNote, InboxMark, note_in
from saga_app.engine.stores.extent import Demand
from saga_app.kafka import offsets, topic_admin
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.commit_notes import committed_notes
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Outgoing, Place
from saga_app.kafka.sender import Sender
from saga_app.rebuild.notes import keep_out, must_have_all_rows, release
from saga_app.rebuild.replaced import ADVANCING, has_younger_records, is_another, reached
from saga_app.rebuild.survey import CannotRebuild, changelogs, no_worker_runs, nothing_else_is_unfinished
from saga_app.settings import Settings

#: Records that are sent at once.
_AT_A_TIME: Final = 5_000
#: The key of padding.
_PADDING: Final = b"padding"


class InboxLoss(NamedTuple):
    """An inbox partition that ends before its rows do, or holds other records: it must begin at `target`.

    `committed` is the offset that the group had, and `epoch` the leader epoch of the record before, unknown where the
    whole inbox is another. `tables` are those of the group's note.
    """

    place: Place
    end: Offset
    target: Offset
    committed: Offset = FIRST
    epoch: int = UNKNOWN_EPOCH
    tables: Mapping[str, Demand] = {}

    def __str__(self) -> str:
        topic, partition = self.place
        if self.end >= self.target:
            return (
                f"{topic}[{partition}] lost records below offset {self.target}, and others have their offsets"
            )
        return f"{topic}[{partition}] ends at offset {self.end}, and its rows reach up to {self.target}"

    @property
    def note(self) -> str:
        """The note beside the committed offset, until this partition has been moved."""
        return CommitNote(InboxMark(ADVANCING, self.epoch), self.tables).encode()

    def is_undecided(self, offset: int, epoch: int | None) -> bool:
        """True if a record may not have been decided: it came with a later leader, or was never committed.

        Times do not tell: a worker that wrote lost rows again gave them its own.
        """
        return self.epoch == UNKNOWN_EPOCH or offset >= self.committed or epoch is None or epoch > self.epoch


def losses(settings: Settings, made_again: Collection[str] = ()) -> list[InboxLoss]:
    """The inbox partitions that lost records. Raises `CannotRebuild` and `KafkaException`.

    `made_again` are inboxes that somebody knows to be others, for partitions without a committed offset.
    """
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
    notes = committed_notes(settings, places)
    nothing_else_is_unfinished("saga advance", notes.values())
    must_have_all_rows(settings, notes)
    ids = offsets.topic_ids(admin, {topic for topic, _ in places})
    names = [topic.name for topic in logs]
    found, unclear = [], []
    for place in places:
        committed, note = notes[place]
        rows = reached(settings, admin, place, names, committed)
        target = max(committed, rows.offset)
        if (
            ends[place] < target
            or is_another(settings, place, committed, note, ids[place[0]])
            or has_younger_records(settings, admin, place, rows.times)
        ):
            found.append(_loss(place, ends[place], target, committed, note, ids[place[0]]))
        elif target and not committed and not note:
            unclear.append(InboxLoss(place, ends[place], target))
    if made_again:
        return found + [each for each in unclear if each.place[0] in made_again]
    if unclear:
        raise CannotRebuild(_which(unclear))
    return found


def _loss(
    place: Place, end: Offset, target: Offset, committed: Offset, note: str, topic_id: str
) -> InboxLoss:
    noted = note_in(note)
    if noted is None or noted.inbox is None:
        return InboxLoss(place, end, target, committed)
    # A command that was killed has left the epoch; another inbox has no record that was decided.
    epoch = noted.inbox.epoch if noted.inbox.topic_id in (topic_id, ADVANCING) else UNKNOWN_EPOCH
    return InboxLoss(place, end, target, committed, epoch, noted.tables)


def _which(unclear: list[InboxLoss]) -> str:
    topic, partition = unclear[0].place
    others = f" and {len(unclear) - 1} more" if len(unclear) > 1 else ""
    return (
        f"{topic}[{partition}]{others}: no offset is committed, and rows reach up to {unclear[0].target}: nobody can "
        f"tell if this is the inbox that they follow from. If it was deleted and made again, run `saga advance "
        f"--inbox {topic}`; if only the group's offsets are gone, start the workers (docs/how-to/recover.md)"
    )


def advance(settings: Settings, found: Iterable[InboxLoss]) -> int:
    """Moves these partitions; the number of records that were written again. It may be cut off, and run again.

    Raises `CannotRebuild`, `DeliveryUnknown` and `KafkaException`.
    """
    found = list(found)
    targets = {loss.place: loss.target for loss in found}
    admin, sender = Admin(settings), Sender(settings)
    for loss in found:
        _must_be_readable(admin, loss.place, min(loss.end, loss.target))
    keep_out(settings, {loss.place: (loss.committed, loss.note) for loss in found})
    again = 0
    for loss in found:
        pads = [Outgoing(loss.place[0], _PADDING, None, loss.place[1])] * max(0, loss.target - loss.end)
        _post(sender, pads)
        # A record that comes from here on is behind the target, where nothing is deleted.
        _must_be_readable(admin, loss.place, loss.target)
        records = list(_since(settings, admin, loss))
        _post(sender, records)
        again += len(records)
    below = [TopicPartition(*place, offset) for place, offset in targets.items() if offset]
    for future in admin.delete_records(below).values() if below else ():
        future.result(offsets.TIMEOUT)
    release(settings, targets)
    return again


def _post(sender: Sender, records: list[Outgoing]) -> None:
    for at in range(0, len(records), _AT_A_TIME):
        sender.post(records[at : at + _AT_A_TIME])


def _must_be_readable(admin: Admin, place: Place, end: Offset) -> None:
    """Raises `CannotRebuild` if a transaction is open below this offset: its records could be neither read nor kept."""
    if offsets.readable_ends(admin, [place])[place] < end:
        raise CannotRebuild(
            f"{place[0]}[{place[1]}]: a transaction is open below offset {end}; run this again when its producer has "
            "ended it, or the broker has after transaction.timeout.ms"
        )


def _since(settings: Settings, admin: Admin, loss: InboxLoss) -> Iterator[Outgoing]:
    """The records that may not have been decided; none if a command that was killed had written them again."""
    first = offsets.beginnings(admin, [loss.place])[loss.place]
    if first >= loss.target:
        return
    end = offsets.readable_ends(admin, [loss.place])[loss.place]
    for chunk in chunks(settings.kafka, *loss.place, first, end, "read_committed"):
        for each in chunk:
            is_padding = each.key() == _PADDING and each.value() is None
            if not is_padding and loss.is_undecided(each.offset() or 0, each.leader_epoch()):
                yield Outgoing(loss.place[0], each.key(), each.value(), loss.place[1], headers_of(each))
