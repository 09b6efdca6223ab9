"""The rows of steps whose effect is at one provider, read from the changelogs of the journals."""

from collections.abc import Mapping
from typing import NamedTuple

from saga_app import topics
from saga_app.core.errors import ForeignRow
from saga_app.core.records import StepName
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.row_keys import KeyKind, number_in, parts_of
from saga_app.core.rows import JournalRow, decode, version_of
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.settings import Settings


class Journal(NamedTuple):
    """One step: by order id the rows of the provider; by checkout partition, below which segment none is left."""

    rows: Mapping[str, JournalRow]
    evicted_below: Mapping[int, int]

    def is_evicted(self, segment: str | None) -> bool:
        """True if the orders of this segment have their rows no more."""
        if segment is None:
            return False
        partition, number = parts_of(segment)
        return number < self.evicted_below.get(partition, 0)


def read(settings: Settings, provider: str) -> dict[StepName, Journal]:
    """All that workers have written until now; it takes as long as a restore of the journals."""
    admin = Admin(settings)
    return {step.name: _journal(settings, admin, step.journal, provider) for step in topics.STEPS.values()}


def _journal(settings: Settings, admin: Admin, journal: str, provider: str) -> Journal:
    rows: dict[str, JournalRow] = {}
    evicted: dict[int, int] = {}
    for partition in range(settings.partitions):
        for key, data in _latest(settings, admin, journal, partition).items():
            is_low_watermark = key.startswith(KeyKind.LOW_WATERMARK)
            if not is_low_watermark and f'"provider":"{provider}"'.encode() not in data:
                continue
            try:
                row = decode(journal, key, data)
            except ForeignRow:
                # No worker wrote it; one that meets it says so.
                continue
            if isinstance(row, LowWatermark):
                number = number_in(key)
                evicted[number] = max(row.evicted_below, evicted.get(number, 0))
            elif isinstance(row, JournalRow) and row.outside is not None and row.outside.provider == provider:
                rows[key] = row
    return Journal(rows, evicted)


def _latest(settings: Settings, admin: Admin, journal: str, partition: int) -> dict[str, bytes]:
    """The row with the highest version of each key; a late write of an older one changes nothing."""
    place = topics.changelog(settings.app_id, journal), partition
    start, end = (look(admin, [place])[place] for look in (offsets.beginnings, offsets.readable_ends))
    found: dict[str, bytes] = {}
    for chunk in chunks(settings.kafka, *place, start, end, "read_committed"):
        for message in chunk:
            key, data = (message.key() or b"").decode("utf-8", "replace"), message.value()
            if data is None:
                found.pop(key, None)
                continue
            try:
                if key not in found or version_of(data) >= version_of(found[key]):
                    found[key] = data
            except ValueError:
                continue
    return found
