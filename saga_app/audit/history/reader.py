"""Reads the history of one order: its inbox partitions are folded again, so the row after each record is exact."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import tables
from saga_app import topics, wire
from saga_app.audit import cuts
from saga_app.audit.checkpoints import files
from saga_app.audit.checkpoints.checkpoint import Checkpoint
from saga_app.audit.checks.orders import JOURNALS
from saga_app.audit.context import AuditContext
from saga_app.audit.history.events import Event, StatusRow, TruncatedInbox
from saga_app.audit.inbox_stores import INBOX
from saga_app.audit.log import messages
from saga_app.audit.refold import InboxRefold, order_of, service_of
from saga_app.audit.scratch import FOLDED, Stores
from saga_app.core.errors import Rejected
from saga_app.core.order import Order
from saga_app.core.route import SEQUENCE
from saga_app.core.rows import OrderRow, decode, is_tombstone, version_of
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.stores.changelog import leave_out, readable
from saga_app.kafka.chunks import chunks
from saga_app.kafka.messages import Message, Place, record_in
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings

#: The types of records in the sequence in which they happen; the last are about eviction.
_SEQUENCE: Final = (*SEQUENCE, "SegmentsClosed", "OrdersEvicted", "SegmentsPurged")
#: Records about whole partitions.
_FOR_ALL: Final = (
    b"PolicyChanged",
    b"RetentionStarted",
    b"SegmentsClosed",
    b"SegmentsPurged",
    b"OrdersEvicted",
)


class OrderHistory(NamedTuple):
    """The events of an order. All of them, if no inbox is `truncated`."""

    events: list[Event]
    truncated: list[TruncatedInbox]


def read_history(settings: Settings, order_id: str, base: Checkpoint | None = None) -> OrderHistory:
    """Reads the history of an order, oldest event first. There are no events if checkout has no record of the order.

    It folds the four inbox partitions that the order passes through from their beginning. A partition without its
    beginning is folded from the checkpoint, if there is one. Raises `KafkaException`, and `Refused` for a checkpoint of
    other topics.
    """
    names = [table.name for table in tables.ALL]
    known = None
    if base is not None:
        identity = cuts.identity(settings, names)
        known = base.fitting(settings, identity, cuts.changelogs(settings, names))
    with tempfile.TemporaryDirectory(prefix="saga-history-") as folder, Stores(Path(folder)) as stores:
        limits = cuts.take(settings, names, known)
        context = AuditContext(settings, limits, Path(folder), base=None if base is None else base.path)
        reader = _HistoryReader(context, stores, order_id)
        order = reader.read(topics.CHECKOUT, order_id)
        if order is not None:
            for topic in topics.INBOXES[1:]:
                reader.read(topic, topics.key_in(topic, order))
        return OrderHistory(sorted(reader.events, key=_when), reader.truncated)


class _HistoryReader:
    """Reads the history of one order, inbox by inbox."""

    def __init__(self, context: AuditContext, stores: Stores, order_id: str) -> None:
        self.context = context
        self.stores = stores
        self.order_id = order_id
        self.events: list[Event] = []
        self.truncated: list[TruncatedInbox] = []
        self._decoder = wire.Decoder(0)

    def read(self, topic: str, key: str) -> Order | None:
        """Reads the order's records in one inbox; `key` decides the partition. Returns the order if checkout has it."""
        place = (topic, topics.partition_of(key, self.context.settings.partitions))
        events = list(
            self._folded(place, key) if self.context.limits.is_whole(place) else self._unfolded(place)
        )
        self.events.extend(events)
        rows = [event.row for event in events]
        rows += [each.row for each in self.truncated if each.place == place]
        found = [row for row in rows if isinstance(row, OrderRow)]
        return Order.model_validate_json(found[-1].order) if found else None

    def _folded(self, place: Place, key: str) -> Iterator[Event]:
        limits, service = self.context.limits, service_of(place[0])
        stores = {table: self.stores.store(FOLDED, (table, place[1])) for table in service.tables}
        start = limits.first[place] and limits.start(place)
        if start and self.context.base is not None:
            files.load(files.part(self.context.base, INBOX, place), stores)
        state = PartitionState(JOURNALS[place[0]], service.decider.balances, stores)
        if start:
            row = state.order(self.order_id) if place[0] == topics.CHECKOUT else state.journal(self.order_id)
            why = f"{place[0]}[{place[1]}] is told from the checkpoint's end at offset {start} on"
            self.truncated.append(TruncatedInbox(place, why, row))
        settings = self.context.settings
        decider = InboxRefold(service, place[1], settings.partitions, state, Signatures.of(settings))
        for message in messages(self.context.settings, place, start, limits.end[place]):
            if not _concerns(message, key.encode()):
                continue
            outcome = decider.decide(message)
            if outcome.record is not None and (
                order_of(outcome.record) == self.order_id or self.order_id in outcome.evicted
            ):
                yield Event(place, message, outcome.record, outcome, self.order_id)
            decider.write()

    def _unfolded(self, place: Place) -> Iterator[Event]:
        """An inbox without its beginning cannot be folded: records have no outcome, the row is the present one."""
        self.truncated.append(TruncatedInbox(place, self.context.limits.gap(place), self._logged(place)))
        limits = self.context.limits
        for message in messages(self.context.settings, place, limits.first[place], limits.end[place]):
            with suppress(Rejected):
                record = record_in(message, self._decoder)
                if order_of(record) == self.order_id:
                    yield Event(place, message, record, None, self.order_id)

    def _logged(self, place: Place) -> StatusRow | None:
        settings, table = self.context.settings, JOURNALS[place[0]]
        changelog = (topics.changelog(settings.app_id, table), place[1])
        rows = [
            row.value
            for chunk in chunks(settings.kafka, *changelog, 0, self.context.limits.found[changelog])
            for row in readable(changelog, chunk, leave_out, self.context.limits.end[place])
            if row.key == self.order_id.encode()
        ]
        newest = max(rows, key=version_of, default=None)
        if newest is None or is_tombstone(newest):
            return None
        row = decode(table, self.order_id, newest)
        assert isinstance(row, StatusRow)
        return row


def _concerns(message: Message, key: bytes) -> bool:
    """True if the record may be about this key: the order, its customer's account, or its warehouse."""
    value = message.value or b""
    # A value with escapes may spell the key in another way.
    return key in value or any(each in value for each in _FOR_ALL) or b"\\" in value


def _when(event: Event) -> tuple[int, int, Place, int]:
    return event.time, _SEQUENCE.index(event.record.type), event.place, event.message.offset
