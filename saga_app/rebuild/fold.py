"""Folds one inbox partition up to its committed offset, with the pure rules, into scratch stores."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from saga_app.audit.checkpoints import files
from saga_app.audit.context import AuditContext
from saga_app.audit.inbox_stores import INBOX
from saga_app.audit.log import messages
from saga_app.audit.refold import InboxRefold, service_of
from saga_app.audit.scratch import FOLDED, Stores
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import Store
from saga_app.kafka import batches
from saga_app.kafka.batches import Missing
from saga_app.kafka.messages import Message, Place
from saga_app.kafka.signatures import Signatures

#: Records that are decided before their rows are written.
_AT_A_TIME: Final = 2_000


class Gap(NamedTuple):
    """Offsets without a record that may be read: from `start` up to, not including, `end`."""

    start: int
    end: int


class Folded(NamedTuple):
    """One folded partition: the records that were read, and the offsets that have none.

    `missing` says how many of these hold nothing at all: neither a transaction's marker nor an aborted record.
    """

    place: Place
    records: int
    gaps: tuple[Gap, ...]
    missing: Missing | None = None


def fold(context: AuditContext, place: Place) -> Folded:
    """Leaves the tables of the partition in the context's folder; a checkpoint stands for the records before it.

    Everything below the committed offset was decided, and all that follows from it was written. So these are the rows
    of a worker that has done exactly this much.
    """
    limits, service = context.limits, service_of(place[0])
    start, end = limits.start(place), limits.committed[place]
    with Stores(context.folder) as stores:
        tables = {table: stores.store(FOLDED, (table, place[1])) for table in service.tables}
        if context.base is not None:
            files.load(files.part(context.base, INBOX, place), tables)
        records = messages(context.settings, place, start, end)
        signatures = Signatures.of(context.settings)
        folded = fold_records(place, context.settings.partitions, tables, records, start, end, signatures)
    if not folded.gaps:
        return folded
    missing = batches.missing(context.settings, place, start, end)
    return folded._replace(missing=missing if missing.number else None)


def fold_records(
    place: Place,
    partitions: int,
    tables: Mapping[str, Store],
    records: Iterable[Message],
    start: int,
    end: int,
    signatures: Signatures | None = None,
) -> Folded:
    """Decides these records of an inbox, from offset `start` up to `end`, over the rows in the stores."""
    service = service_of(place[0])
    state = PartitionState(service.decider.journal, service.decider.balances, tables)
    refold = InboxRefold(service, place[1], partitions, state, signatures)
    count, following, gaps = 0, start, []
    for message in records:
        if message.offset > following:
            gaps.append(Gap(following, message.offset))
        refold.decide(message)
        count, following = count + 1, message.offset + 1
        if count % _AT_A_TIME == 0:
            refold.write()
    refold.write()
    if following < end:
        gaps.append(Gap(following, end))
    return Folded(place, count, tuple(gaps))
