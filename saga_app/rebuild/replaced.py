"""Tells whether an inbox partition still holds the records that its committed offset and its rows are of.

Offsets alone do not tell: an inbox that was cut, or made again, may have grown beyond its rows since.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from saga_app.audit.audit import SKEW
from saga_app.audit.refold import service_of
from saga_app.core.numbers import FIRST, Offset
from saga_app.core.rows import version_of
from saga_app.engine.commit_note import UNKNOWN_EPOCH, note_in
from saga_app.engine.stores.changelog import MOST_AHEAD, leave_out, readable
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Place
from saga_app.kafka.truncation import is_truncated
from saga_app.settings import Settings
from saga_app.topics import changelog

#: The topic id in the notes of inboxes that `saga advance` is moving. It is no inbox's, so a worker ends (84).
ADVANCING: Final = "unknown, run `saga advance` again,"


class Reached(NamedTuple):
    """How far the rows of an inbox partition reach: the offset behind the highest version.

    `times` has Kafka's time, in milliseconds, at which a row of each version was first written, from some offset on.
    """

    offset: Offset
    times: Mapping[int, int]


def is_advancing(note: str) -> bool:
    """True if `saga advance` has begun to move the inbox partition with this note, and did not end."""
    noted = note_in(note)
    return noted is not None and noted.inbox is not None and noted.inbox.topic_id == ADVANCING


def is_another(settings: Settings, place: Place, committed: Offset, note: str, topic_id: str) -> bool:
    """True if the committed offset is of an inbox, or of records, that are gone, though there are enough others.

    `note` stands beside the committed offset, `topic_id` is that of the inbox now. Raises `KafkaException`, and
    `TimeoutError` if no broker answers.
    """
    noted = note_in(note)
    mark = None if noted is None else noted.inbox
    if mark is None:
        return False
    if mark.topic_id != topic_id:
        return True
    return mark.epoch != UNKNOWN_EPOCH and is_truncated(settings.kafka, place, committed, mark.epoch)


def reached(
    settings: Settings, admin: Admin, inbox: Place, logs: Iterable[str], committed: Offset
) -> Reached:
    """Reads the changelogs of an inbox partition that are there; the times are those from the committed offset on."""
    offset, times, there = FIRST, dict[int, int](), set(logs)
    # Rows that no worker wrote say nothing about the inbox.
    below = max(committed, offsets.ends(admin, [inbox])[inbox]) + MOST_AHEAD
    for table in service_of(inbox[0]).tables:
        place = (changelog(settings.app_id, table), inbox[1])
        if place[0] not in there:
            continue
        end = offsets.ends(admin, [place])[place]
        for chunk in chunks(settings.kafka, *place, 0, end):
            written = {each.offset(): each.timestamp()[1] for each in chunk}
            for row in readable(place, chunk, leave_out, below):
                version = version_of(row.value)
                offset = max(offset, Offset(version + 1))
                if version >= committed:
                    time = written[row.offset]
                    times[version] = min(time, times.get(version, time))
    return Reached(offset, times)


def has_younger_records(settings: Settings, admin: Admin, inbox: Place, times: Mapping[int, int]) -> bool:
    """True if a record is younger than the row that was made of its offset: the offset was another record's then.

    Without rows it reads nothing.
    """
    if not times:
        return False
    begin = offsets.beginnings(admin, [inbox])[inbox]
    end = offsets.ends(admin, [inbox])[inbox]
    records = chunks(settings.kafka, *inbox, max(begin, min(times)), end)
    return any(
        are_younger(((each.offset(), each.timestamp()[1]) for each in chunk), times) for chunk in records
    )


def are_younger(records: Iterable[tuple[int | None, int]], times: Mapping[int, int]) -> bool:
    """True if one of these records, offset and Kafka's time, came after a row of its offset was written."""
    return any(
        time > times[offset] + SKEW for offset, time in records if offset is not None and offset in times
    )
