"""Tries an order: the real rules decide it on a copy of the state, and nothing is sent.

The copy is made as a new owner of a partition makes it: the tables from their changelogs, then every record from the
committed offset on. Only the partitions that an order passes through are copied, each once.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.audit.history.events import Event
from saga_app.audit.log import messages
from saga_app.audit.refold import InboxRefold, service_of
from saga_app.audit.scratch import FOLDED, Stores
from saga_app.core.decider import Verdict
from saga_app.core.numbers import Offset
from saga_app.core.records import OrderPlaced, Record
from saga_app.core.rows import ClosedOrder, OrderRow
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.stores.changelog import KafkaChangelog, leave_out
from saga_app.engine.stores.restore import repaired, restore
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.consumer_group import TIMEOUT, committed
from saga_app.kafka.messages import Message, Place, outgoing
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings
from saga_app.times import now

#: How often the ends of changelogs are asked for, until no row was written to the journal meanwhile.
_TRIES: Final = 10

Progress = Callable[[str], None]


class Tried(NamedTuple):
    """One order: what every record of it would do, in order, and its row at the end; None if it would have none.

    `known` is true if it was placed before: then the records tell what placing it again would do.
    """

    order_id: str
    events: tuple[Event, ...]
    row: OrderRow | ClosedOrder | None
    known: bool


class OrderTrial:
    """Orders that are tried one after the other: each sees what those before it have done, as on the topics."""

    def __init__(self, settings: Settings, folder: Path, progress: Progress = lambda words: None) -> None:
        """`folder` is for rows that do not fit into memory."""
        self._settings = settings
        self._progress = progress
        self._stores = Stores(folder)
        self._copies: dict[Place, PartitionCopy] = {}

    def __enter__(self) -> "OrderTrial":
        return self

    def __exit__(self, *error: object) -> None:
        self._stores.__exit__()

    def place(self, record: OrderPlaced) -> Tried:
        """Decides the order and everything that follows from it; deadlines do not pass meanwhile.

        Raises `KafkaException` and `TimeoutError`.
        """
        order_id = record.order_id
        checkout = self._copy(record)
        known = checkout.state.order(order_id) is not None
        return Tried(order_id, tuple(self._events(record)), checkout.state.order(order_id), known)

    def _events(self, first: OrderPlaced) -> Iterator[Event]:
        waiting = deque[Record]([first])
        while waiting:
            record = waiting.popleft()
            copy = self._copy(record)
            event = copy.decide(record, first.order_id)
            yield event
            if event.outcome is not None and event.outcome.decision is not None:
                waiting.extend(event.outcome.decision.sends)

    def _copy(self, record: Record) -> "PartitionCopy":
        place = topics.topic_of(record), topics.partition_for(record, self._settings.partitions)
        if place not in self._copies:
            self._progress(f"copying {place[0]}[{place[1]}]")
            self._copies[place] = PartitionCopy(self._settings, place, self._stores)
        return self._copies[place]


class PartitionCopy:
    """The tables of one inbox partition as they are once everything is decided that is there now."""

    def __init__(self, settings: Settings, place: Place, stores: Stores) -> None:
        self._place = place
        service, admin = service_of(place[0]), Admin(settings)
        # It is asked for first: of every record before it, all rows are in the changelogs.
        start = committed(settings, settings.app_id, [place], TIMEOUT)[place]
        tables = {table: stores.store(FOLDED, (table, place[1])) for table in service.tables}
        for table, end in _ends(settings, admin, service.tables, place[1]).items():
            topic = topics.changelog(settings.app_id, table)
            restored = restore(
                KafkaChangelog(settings.kafka, topic, place[1], end, leave_out), end, tables[table]
            )
            repaired(tables[table], end, restored.repairs, ())
        self.state = PartitionState(service.decider.journal, service.decider.balances, tables)
        signatures = Signatures.of(settings)
        refold = InboxRefold(service, place[1], settings.partitions, self.state, signatures)
        self._next = offsets.readable_ends(admin, [place])[place]
        begin = max(start, offsets.beginnings(admin, [place])[place])
        for message in messages(settings, place, begin, self._next):
            refold.decide(message)
        # Nobody signs what is only tried.
        self._refold = InboxRefold(service, place[1], settings.partitions, self.state)

    def decide(self, record: Record, order_id: str) -> Event:
        """Decides a record as if it were sent now."""
        sent = outgoing(record)
        message = Message(self._next, now(), sent.key, sent.value)
        self._next = Offset(self._next + 1)
        return Event(self._place, message, record, self._refold.decide(message), order_id)


def _ends(settings: Settings, admin: Admin, names: tuple[str, ...], partition: int) -> Mapping[str, Offset]:
    """Where the changelogs end: balances first and never ahead of the journal, as a restore reads them."""
    changelogs = {table: (topics.changelog(settings.app_id, table), partition) for table in reversed(names)}
    journal = changelogs[names[0]]
    before = offsets.ends(admin, [journal])[journal]
    for _ in range(_TRIES):
        found = {table: offsets.ends(admin, [place])[place] for table, place in changelogs.items()}
        if found[names[0]] == before:
            break
        before = found[names[0]]
    return found


def has_failed(tried: Tried) -> bool:
    """True if one of its records would become a dead letter."""
    return any(event.outcome is not None and event.outcome.verdict is Verdict.DEAD for event in tried.events)
