"""What happened to one order, record by record, with its row after each: folded from the inboxes, so it is exact."""

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
from saga_app.audit.inbox import INBOX
from saga_app.audit.log import messages
from saga_app.audit.refold import InboxRefold, order_of, service_of
from saga_app.audit.scratch import FOLDED, Stores
from saga_app.core.errors import Rejected
from saga_app.core.order import Order
from saga_app.core.route import SEQUENCE
from saga_app.core.rows import OrderRow, decode, is_tombstone, version_of
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import row_in
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Message, Place
from saga_app.settings import Settings

#: The last are about eviction.
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
    """What is known of an order: everything that happened, if nothing stands in `before`."""

    events: list[Event]
    before: list[TruncatedInbox]


def history(settings: Settings, order_id: str, base: Checkpoint | None = None) -> OrderHistory:
    """Everything about the order, in the order in which it happened; no events if nobody ever named it in checkout.

    Reads the four inbox partitions that the order passes through, from their beginning, or where it was cut off from
    the checkpoint. Raises `KafkaException`, and `Refused` for a checkpoint of other topics.
    """
    names = [table.name for table in tables.ALL]
    if base is not None:
        base.must_fit(settings, cuts.identity(settings, names))
    with tempfile.TemporaryDirectory(prefix="saga-history-") as folder, Stores(Path(folder)) as stores:
        limits = cuts.take(settings, names, None if base is None else base.known)
        context = AuditContext(settings, limits, Path(folder), base=None if base is None else base.path)
        telling = _Telling(context, stores, order_id)
        order = telling.tell(topics.CHECKOUT, order_id)
        if order is not None:
            for topic in topics.INBOXES[1:]:
                telling.tell(topic, topics.key_in(topic, order))
        return OrderHistory(sorted(telling.events, key=_when), telling.before)


class _Telling:
    """What is told of one order, inbox by inbox."""

    def __init__(self, context: AuditContext, stores: Stores, order_id: str) -> None:
        self.context = context
        self.stores = stores
        self.order_id = order_id
        self.events: list[Event] = []
        self.before: list[TruncatedInbox] = []

    def tell(self, topic: str, key: str) -> Order | None:
        """The order's records in one inbox; `key` decides the partition. The order, where checkout has it."""
        place = (topic, topics.partition_of(key, self.context.settings.partitions))
        events = list(
            self._folded(place, key) if self.context.limits.is_whole(place) else self._left(place, key)
        )
        self.events.extend(events)
        rows = [event.row for event in events] + [each.row for each in self.before if each.place == place]
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
            self.before.append(TruncatedInbox(place, why, row))
        decider = InboxRefold(service, place[1], self.context.settings.partitions, state)
        for message in messages(self.context, place, start, limits.end[place]):
            if not _concerns(message, key.encode()):
                continue
            outcome = decider.decide(message)
            if outcome.record is not None and (
                order_of(outcome.record) == self.order_id or self.order_id in outcome.evicted
            ):
                yield Event(place, message, outcome.record, outcome, self.order_id)
            decider.write()

    def _left(self, place: Place, key: str) -> Iterator[Event]:
        """Where the beginning is unknown nothing can be folded: the records that are left, and the row as it is now."""
        self.before.append(TruncatedInbox(place, self.context.limits.gap(place), self._logged(place)))
        limits = self.context.limits
        for message in messages(self.context, place, limits.first[place], limits.end[place]):
            with suppress(Rejected):
                record = wire.decode(message.value)
                if order_of(record) == self.order_id:
                    yield Event(place, message, record, None, self.order_id)

    def _logged(self, place: Place) -> StatusRow | None:
        settings, table = self.context.settings, JOURNALS[place[0]]
        changelog = (topics.changelog(settings.app_id, table), place[1])
        rows = [
            row_in(each.value(), headers_of(each))
            for chunk in chunks(settings.kafka, *changelog, 0, self.context.limits.found[changelog])
            for each in chunk
            if each.key() == self.order_id.encode()
        ]
        newest = max(rows, key=version_of, default=None)
        if newest is None or is_tombstone(newest):
            return None
        row = decode(table, self.order_id, newest)
        assert isinstance(row, StatusRow)
        return row


def _concerns(message: Message, key: bytes) -> bool:
    """Whether the record may have to do with this key: with the order, its customer's account, or its warehouse."""
    value = message.value or b""
    # Whatever is written with escapes may say anything.
    return key in value or any(each in value for each in _FOR_ALL) or b"\\" in value


def _when(event: Event) -> tuple[int, int, Place, int]:
    return event.time, _SEQUENCE.index(event.record.type), event.place, event.message.offset
