"""Eviction at the other services: rows of evicted orders are removed, and totals keep what these orders moved.

Rows are written in this sequence, each append durable before the next: totals, low watermark, tombstones. So a low
watermark never stands without its totals, and no row is missing without a low watermark that says why.

A record tells which segments are closed, and nothing here can check that: only checkout knows its offsets. So the low
watermark rises no further than the rows that the record evicts: it is behind the last segment of these. A record with
numbers that are too high does not stop the orders to come.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from saga_app.core.decider import Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import NEVER
from saga_app.core.records import OrdersEvicted, StepRequest, Undo
from saga_app.core.retention.rows import LowWatermark, Total
from saga_app.core.row_keys import evicted_total_key, low_watermark_key, parts_of
from saga_app.core.rows import JournalRow, State, Tombstone


def is_evicted(record: StepRequest, row: JournalRow | None, rows: Rows) -> bool:
    """True if nothing must be done for this order any more; `row` is the one that its id has here.

    An order of a closed segment may have had no row here, so the low watermark does not know it. Late for such an
    order can only be a compensation: an order ends without a row here only if its action was never asked for.
    """
    if record.segment is None:
        return False
    partition, number = parts_of(record.segment)
    low_watermark = rows.low_watermark(partition)
    if low_watermark is None:
        return False
    if number < low_watermark.evicted_below:
        return True
    is_late = isinstance(record, Undo) if row is None else row.segment != record.segment
    return is_late and number < low_watermark.closed


def evict(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Decision:
    """Removes the rows of these orders from the journal of a service, and adds what they moved to the totals."""
    found = dict(_found(record, at, rows))
    low_watermark = rows.low_watermark(record.checkout_partition)
    if low_watermark is not None and low_watermark.version == at.offset:
        return Decision(Verdict.REPEATED, others=tombstones(journal, found, at, rows))
    if low_watermark is not None and low_watermark.version > at.offset:
        return repeated()
    if low_watermark is not None and record.below_segment <= low_watermark.closed and not found:
        return repeated()
    if low_watermark is not None and record.first_segment > low_watermark.closed:
        raise Rejected(
            Fault.CONTRADICTION,
            f"it evicts orders of partition {record.checkout_partition} from segment {record.first_segment} on, but "
            f"those from segment {low_watermark.closed} on come first: a record is missing, and no order is evicted "
            "until it comes",
        )
    before = low_watermark or LowWatermark(NEVER, 0)
    behind = (parts_of(row.segment)[1] + 1 for row in found.values() if row.segment is not None)
    raised = LowWatermark(
        at.version,
        max([before.evicted_below, *behind]),
        closed_below=max(before.closed, record.below_segment),
    )
    return Decision(
        Verdict.APPLIED,
        others=(
            *_totals(journal, found.values(), at, rows),
            Put(journal, low_watermark_key(record.checkout_partition), raised),
            *tombstones(journal, found, at, rows),
        ),
    )


def tombstones(journal: str, keys: Iterable[str], at: Position, rows: Rows) -> tuple[Put, ...]:
    """Tombstones for the keys that have a row. A younger row stays: it is of a later order with the same id."""
    found = ((key, rows.entry(key)) for key in keys)
    return tuple(
        Put(journal, key, Tombstone(at.version))
        for key, row in found
        if row is not None and row.version <= at.offset
    )


def _found(record: OrdersEvicted, at: Position, rows: Rows) -> Iterator[tuple[str, JournalRow]]:
    """The rows of the record's orders, by key; a row of another segment is of another order with the same id.

    A younger row was not there when the record came first.
    """
    for order_id in record.order_ids:
        row = rows.journal(order_id)
        if row is None or row.segment is None or row.version > at.offset:
            continue
        partition, number = parts_of(row.segment)
        if partition == record.checkout_partition and record.first_segment <= number < record.below_segment:
            yield order_id, row


def _totals(journal: str, evicted: Iterable[JournalRow], at: Position, rows: Rows) -> Iterator[Put]:
    """The total of each balance, with what these orders moved and did not move back; their refunds moved too."""
    sums: dict[str, Decimal | int] = {}
    for row in evicted:
        if row.state is State.DONE:
            for key, amount in row.all_moves:
                sums[key] = sums.get(key, 0) + amount
    for key, amount in sums.items():
        total = rows.entry(evicted_total_key(key))
        assert total is None or isinstance(total, Total)
        if total is None or total.version < at.offset:
            moved = amount if total is None else total.moved + amount
            yield Put(journal, evicted_total_key(key), Total(at.version, moved))
