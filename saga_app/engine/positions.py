"""Where a worker begins to read an inbox partition, and whether that inbox still has what was read of it.

A position is an offset of one incarnation of an inbox. If the inbox was deleted and made again, or lost its end, the
same offset may soon name another record: a worker that read on would skip records, or take new ones for replays.
"""

from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from saga_app.core.numbers import Offset, Version
from saga_app.engine.commit_note import UNKNOWN_EPOCH, InboxMark
from saga_app.engine.exits import Exit, Fatal
from saga_app.kafka import offsets
from saga_app.kafka.messages import Place

#: The way out for every fault here.
ADVICE = "stop the workers; docs/how-to/recover.md says what was lost and what to do"


class InboxRange(NamedTuple):
    """An inbox partition as the broker has it now."""

    topic_id: str
    begin: Offset
    end: Offset


class InboxPosition(NamedTuple):
    """The next offset to read, and of which inbox it is, if that is known."""

    at: Offset
    mark: InboxMark | None = None

    @property
    def epoch(self) -> int:
        """The leader epoch of the record before."""
        return UNKNOWN_EPOCH if self.mark is None else self.mark.epoch


def ranges(admin: AdminClient, places: Iterable[Place]) -> dict[Place, InboxRange]:
    """All these inbox partitions now."""
    asked = list(places)
    ids = offsets.topic_ids(admin, {topic for topic, _ in asked}) if asked else {}
    begins, ends = offsets.beginnings(admin, asked), offsets.ends(admin, asked)
    return {place: InboxRange(ids[place[0]], begins[place], ends[place]) for place in asked}


def position(
    place: Place, inbox: InboxRange, group: InboxPosition | None, store: InboxPosition | None, newest: Version
) -> InboxPosition:
    """Where to begin: where the group says, else where the store says, else where the inbox begins.

    A disk may be further than the group's last commit, and only its journal: the balances' changelog may have lost rows
    that were written since, and nothing but a replay of those records writes them again.

    `newest` is the highest version of a row: the offset of the last record that changed one. `Fatal` if the inbox is
    another than the one that was read, or has less.
    """
    if store is not None and group is not None and _is_older(store, group, inbox):
        store = None
    known = [each for each in (group, store) if each is not None]
    for each in known:
        if each.mark is not None and each.mark.topic_id != inbox.topic_id:
            raise Fatal(Exit.INBOX_REPLACED, replaced(*place, each.mark.topic_id, inbox.topic_id))
    if not known and newest + 1 < inbox.begin:
        raise Fatal(Exit.RECORDS_CUT, cut(*place, newest + 1, inbox.begin))
    if inbox.end < (least := max([newest + 1, *(each.at for each in known)])):
        raise Fatal(Exit.INBOX_CUT, shortened(*place, least, inbox.end))
    # Retention may have deleted records that were decided, between the last commit and a crash.
    there = [each for each in known if each.at >= inbox.begin] or known
    return there[0] if there else InboxPosition(inbox.begin)


def _is_older(store: InboxPosition, group: InboxPosition, inbox: InboxRange) -> bool:
    """True if the store's offset is of an inbox, or of a leader's log, that the group has left behind."""
    if store.mark is None or group.mark is None or group.mark.topic_id != inbox.topic_id:
        return False
    if store.mark.topic_id != inbox.topic_id:
        return True
    return store.at > group.at and UNKNOWN_EPOCH < store.epoch < group.epoch


def cut(topic: str, partition: int, at: int, first: int) -> str:
    """Records are gone that nobody has decided, as far as this worker knows."""
    return (
        f"{topic}[{partition}] must be read from offset {at} on, but it begins at {first}: records were "
        "deleted before they were decided; docs/how-to/keep-topics-small.md says what to do"
    )


def shortened(topic: str, partition: int, least: int, end: int) -> str:
    """Records are gone that were decided, and their offsets would name other records soon."""
    now = (
        f"it ends at {end}"
        if end < least
        else "a later leader gave the last of these offsets to other records"
    )
    return (
        f"{topic}[{partition}] lost records: those up to offset {least - 1} were decided, and {now} (an unclean leader "
        f"election, a broker that lost its disk, or a topic that was made again); {ADVICE}"
    )


def replaced(topic: str, partition: int, was: str, now: str) -> str:
    """The inbox is another one than that of the tables."""
    return (
        f"{topic}[{partition}] was deleted and made again (its topic id was {was} and is {now}): the versions of the "
        f"tables' rows are offsets of the old one; {ADVICE}"
    )
