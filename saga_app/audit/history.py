"""What happened to one order, record by record, with its row after each: folded from the inboxes, so it is exact."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

import tables
from saga_app import topics
from saga_app.audit import limits as cuts
from saga_app.audit.inbox import messages, service_of
from saga_app.audit.orders import JOURNALS
from saga_app.audit.refold import Refold, Told, order_of
from saga_app.audit.scope import Scope
from saga_app.audit.shelves import FOLDED, Shelves
from saga_app.core.records import Order
from saga_app.core.rows import GoneOrder, JournalRow, OrderRow
from saga_app.durable.ports import Message, Place
from saga_app.durable.view import View
from saga_app.settings import Settings

#: Records that come from one another within a millisecond, in the order of cause and effect.
_SEQUENCE: Final = (
    "OrderPlaced",
    "CancellationRequested",
    "DeadlinePassed",
    "PaymentRequested",
    "ReservationRequested",
    "ShipmentRequested",
    "ShipmentCancellationRequested",
    "ReleaseRequested",
    "RefundRequested",
    "OrderCompleted",
    "OrderCancelled",
)
#: Records about whole partitions.
_FOR_ALL: Final = (b"PolicyChanged", b"LeavingBegun", b"CohortsClosed", b"CohortsForgotten", b"OrdersLeft")


class Event(NamedTuple):
    """One record about the order, where it stands, and what became of it. `time` is Kafka's, in milliseconds."""

    place: Place
    told: Told

    @property
    def time(self) -> int:
        return self.told.message.time

    @property
    def row(self) -> OrderRow | GoneOrder | JournalRow | None:
        """The order's row after the record."""
        decision = self.told.decision
        if decision is None or decision.journal is None:
            return self.told.before
        assert isinstance(decision.journal.row, OrderRow | JournalRow)
        return decision.journal.row

    def as_json(self) -> dict[str, Any]:
        """For machines: the record and the row as they are in the topics."""
        told = self.told
        return {
            "time": self.time,
            "topic": self.place[0],
            "partition": self.place[1],
            "offset": told.message.offset,
            "verdict": told.verdict.value,
            "record": from_json(told.message.value or b"null"),
            "row": None if self.row is None else from_json(self.row.encode()),
            "sent": [] if told.decision is None else [sent.type for sent in told.decision.sends],
            "reason": None if told.rejection is None else str(told.rejection.fault),
            "detail": None if told.rejection is None else told.rejection.detail,
            "note": None if told.decision is None else told.decision.note,
        }


def history(settings: Settings, order_id: str) -> list[Event]:
    """Everything about the order, in the order in which it happened; empty if nobody ever named it in checkout.

    Reads the four inbox partitions that the order passes through, from their beginning. Raises `KafkaException`.
    """
    with tempfile.TemporaryDirectory(prefix="saga-history-") as folder:
        limits = cuts.take(settings, [table.name for table in tables.ALL])
        scope = Scope(settings, limits, Path(folder))
        with Shelves(Path(folder)) as shelves:
            events = list(_events(scope, shelves, topics.CHECKOUT, order_id, order_id))
            rows = [event.row for event in events if isinstance(event.row, OrderRow)]
            if rows:
                order = Order.model_validate_json(rows[-1].order)
                for topic in topics.INBOXES[1:]:
                    events.extend(_events(scope, shelves, topic, order_id, topics.key_in(topic, order)))
    return sorted(events, key=_when)


def _events(scope: Scope, shelves: Shelves, topic: str, order_id: str, key: str) -> Iterator[Event]:
    """The order's records in one inbox; `key` is what decides the partition."""
    partition = topics.partition_of(key, scope.settings.partitions)
    place = (topic, partition)
    service = service_of(topic)
    kept = {table: shelves.shelf(FOLDED, (table, partition)) for table in service.tables}
    fold = Refold(
        service, partition, scope.settings.partitions, View(JOURNALS[topic], service.fold.balances, kept)
    )
    for chunk in messages(scope, place, scope.limits.first[place], scope.limits.end[place]):
        for message in chunk:
            if not _concerns(message, key.encode()):
                continue
            told = fold.decide(message)
            if told.record is not None and order_of(told.record) == order_id:
                yield Event(place, told)
        fold.write()


def _concerns(message: Message, key: bytes) -> bool:
    """Whether the record may have to do with this key: with the order, its customer's account, or its warehouse."""
    value = message.value or b""
    # Whatever is written with escapes may say anything.
    return key in value or any(each in value for each in _FOR_ALL) or b"\\" in value


def _when(event: Event) -> tuple[int, int, Place, int]:
    record = event.told.record
    assert record is not None
    return event.time, _SEQUENCE.index(record.type), event.place, event.told.message.offset
