"""The rows of steps whose effect is at a provider, read from the changelogs of the journals."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from saga_app import topics
from saga_app.core.checkout import Checkout
from saga_app.core.errors import ForeignRow
from saga_app.core.order import Order
from saga_app.core.records import StepName
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.route import route_of
from saga_app.core.row_keys import KeyKind, number_in, parts_of
from saga_app.core.rows import ClosedOrder, JournalRow, OrderRow, Row, decode, is_tombstone, version_of
from saga_app.core.step import Step
from saga_app.engine.ports import row_in
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.settings import Settings


class Journal(NamedTuple):
    """One step: rows by order id; by checkout partition, below which segment none is left."""

    rows: Mapping[str, JournalRow]
    evicted_below: Mapping[int, int]

    def is_evicted(self, segment: str | None) -> bool:
        """True if the orders of this segment have their rows no more."""
        if segment is None:
            return False
        partition, number = parts_of(segment)
        return number < self.evicted_below.get(partition, 0)


class OrderEffect(NamedTuple):
    """The row of one step of an order, and the key of the step's records for it."""

    row: JournalRow
    key: str


class NoSuchEffect(Exception):
    """The order, or the step of it, has no row; the message says which."""


def read(settings: Settings, provider: str | None = None) -> dict[StepName, Journal]:
    """All that workers have written until now, of one provider or of all, and the rows with a conflict.

    It takes as long as a restore of the journals.
    """
    admin = Admin(settings)
    return {step.name: _journal(settings, admin, step.journal, provider) for step in topics.STEPS.values()}


def find(settings: Settings, order_id: str, step: Step) -> OrderEffect:
    """The row of one step; `NoSuchEffect` if there is none. It reads one partition of two changelogs."""
    found = of_order(settings, order_id, (step,))
    if step.name not in found:
        raise NoSuchEffect(f"order {order_id} has not come to {step.name}")
    return found[step.name]


def of_order(
    settings: Settings, order_id: str, steps: Iterable[Step] | None = None
) -> Mapping[StepName, OrderEffect]:
    """The rows of these steps of one order, or of all steps on its route; `NoSuchEffect` if there is no such order.

    It reads the one partition of checkout's changelog that has the order, and one of each step's: the order's keys say
    which.
    """
    admin = Admin(settings)
    placed = _row(settings, admin, Checkout.journal, order_id, order_id)
    if isinstance(placed, ClosedOrder):
        raise NoSuchEffect(f"order {order_id} is evicted: nothing is done for it any more")
    if not isinstance(placed, OrderRow):
        raise NoSuchEffect(f"order {order_id} is not there")
    order = Order.model_validate_json(placed.order)
    of_route = _with_own_journals(route_of(order).steps) if steps is None else steps
    rows = ((step, _row(settings, admin, step.journal, step.key(order), order_id)) for step in of_route)
    return {step.name: OrderEffect(row, step.key(order)) for step, row in rows if isinstance(row, JournalRow)}


def _with_own_journals(steps: Iterable[Step]) -> Iterable[Step]:
    """The first step of each journal: a payment and its capture are one row."""
    first: dict[str, Step] = {}
    for step in steps:
        first.setdefault(step.journal, step)
    return first.values()


def is_outside(row: JournalRow) -> bool:
    """True if a provider is asked for the effect, or said something of it that cannot be."""
    return row.outside is not None or row.conflict is not None


def _row(settings: Settings, admin: Admin, journal: str, key: str, order_id: str) -> Row | None:
    """The row of an order in the partition of this key."""
    partition = topics.partition_of(key, settings.partitions)
    data = _latest(settings, admin, journal, partition, only=order_id).get(order_id)
    return None if data is None else decode(journal, order_id, data)


def _journal(settings: Settings, admin: Admin, journal: str, provider: str | None) -> Journal:
    rows: dict[str, JournalRow] = {}
    evicted: dict[int, int] = {}
    marks = (b'"provider":"', b'"conflict":"') if provider is None else (f'"provider":"{provider}"'.encode(),)
    for partition in range(settings.partitions):
        for key, data in _latest(settings, admin, journal, partition).items():
            is_low_watermark = key.startswith(KeyKind.LOW_WATERMARK)
            if not is_low_watermark and not any(mark in data for mark in marks):
                continue
            try:
                row = decode(journal, key, data)
            except ForeignRow:
                # No worker wrote it; one that meets it says so.
                continue
            if isinstance(row, LowWatermark):
                number = number_in(key)
                evicted[number] = max(row.evicted_below, evicted.get(number, 0))
            elif isinstance(row, JournalRow) and _is_of(row, provider):
                rows[key] = row
    return Journal(rows, evicted)


def _is_of(row: JournalRow, provider: str | None) -> bool:
    if provider is None:
        return is_outside(row)
    return row.outside is not None and row.outside.provider == provider


def _latest(
    settings: Settings, admin: Admin, journal: str, partition: int, only: str | None = None
) -> dict[str, bytes]:
    """The row with the highest version of each key, or of only one; a late write of an older one changes nothing."""
    place = topics.changelog(settings.app_id, journal), partition
    start, end = (look(admin, [place])[place] for look in (offsets.beginnings, offsets.readable_ends))
    found: dict[str, bytes] = {}
    for chunk in chunks(settings.kafka, *place, start, end, "read_committed"):
        for message in chunk:
            key = (message.key() or b"").decode("utf-8", "replace")
            if only is not None and key != only:
                continue
            try:
                data = row_in(message.value(), headers_of(message))
                if key not in found or version_of(data) >= version_of(found[key]):
                    found[key] = data
            except ValueError:
                continue
    return {key: data for key, data in found.items() if not is_tombstone(data)}
