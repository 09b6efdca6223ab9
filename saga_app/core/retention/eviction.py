"""Eviction at the other services: rows of evicted orders are removed, and totals keep what these orders moved.

Rows are written in this sequence, each append durable before the next: totals, low watermark, tombstones. So a low
watermark never stands without its totals, and no row is missing without a low watermark that says why.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from saga_app.core.decider import Decision, Position, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import OrdersEvicted
from saga_app.core.retention.rows import LowWatermark, Total
from saga_app.core.row_keys import evicted_total_key, low_watermark_key, parts_of
from saga_app.core.rows import State, Tombstone


def is_evicted(segment: str | None, rows: Rows) -> bool:
    """True if the orders of this segment are evicted here, so that nothing must be done for them any more."""
    if segment is None:
        return False
    partition, number = parts_of(segment)
    low_watermark = rows.low_watermark(partition)
    return low_watermark is not None and number < low_watermark.evicted_below


def evict(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Decision:
    """Removes the rows of these orders from the journal of a service, and adds what they moved to the totals."""
    low_watermark = rows.low_watermark(record.checkout_partition)
    if low_watermark is not None and low_watermark.version == at.offset:
        return Decision(Verdict.REPEATED, others=tombstones(journal, record.order_ids, at, rows))
    if low_watermark is not None and (
        low_watermark.version > at.offset or record.below_segment <= low_watermark.evicted_below
    ):
        return repeated()
    if low_watermark is not None and record.first_segment != low_watermark.evicted_below:
        raise Rejected(
            Fault.CONTRADICTION,
            f"it evicts orders of partition {record.checkout_partition} from segment {record.first_segment} on, but "
            f"those from segment {low_watermark.evicted_below} on come first: a record is missing, and no order is "
            "evicted until it comes",
        )
    raised = LowWatermark(at.version, record.below_segment)
    return Decision(
        Verdict.APPLIED,
        others=(
            *_totals(journal, record, at, rows),
            Put(journal, low_watermark_key(record.checkout_partition), raised),
            *tombstones(journal, record.order_ids, at, rows),
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


def _totals(journal: str, record: OrdersEvicted, at: Position, rows: Rows) -> Iterator[Put]:
    """The total of each balance, with what these orders moved and did not move back."""
    sums: dict[str, Decimal | int] = {}
    for order_id in record.order_ids:
        row = rows.journal(order_id)
        if row is not None and row.state is State.DONE:
            for key, amount in (row.moves or {}).items():
                sums[key] = sums.get(key, 0) + amount
    for key, amount in sums.items():
        total = rows.entry(evicted_total_key(key))
        assert total is None or isinstance(total, Total)
        if total is None or total.version < at.offset:
            moved = amount if total is None else total.moved + amount
            yield Put(journal, evicted_total_key(key), Total(at.version, moved))
