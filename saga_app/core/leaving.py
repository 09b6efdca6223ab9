"""Closed orders leave, cohort by cohort; why it is done so stands in `docs/decisions/0010-closed-orders-leave.md`.

Every record here is a round of its own: once its rows are in the changelog, all that came before it is settled. Within
its round the rows are written in this sequence: what must not be lost, then the horizon, then nothing in place of rows.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from saga_app.core.decision import IGNORED, At, Decision, Put, Rows, Verdict, repeated
from saga_app.core.errors import Fault, Rejected
from saga_app.core.horizons import Cohort, Horizon, Total, closed_key, cohort_key, horizon_key, parts_of
from saga_app.core.order import digest
from saga_app.core.records import CohortsClosed, CohortsForgotten, ForPartition, LeavingBegun, OrdersLeft
from saga_app.core.route import ROUTE
from saga_app.core.rows import OPEN_STATUSES, GoneOrder, Nothing, OrderRow, Row, State

_STEPS: Final = tuple(step.name for step in ROUTE)


def has_left(cohort: str | None, rows: Rows) -> bool:
    """Whether the orders of this cohort have left here, so that nothing must be done for them any more."""
    if cohort is None:
        return False
    source, number = parts_of(cohort)
    horizon = rows.horizon(source)
    return horizon is not None and number < horizon.below


class Cohorts:
    """The cohorts of a checkout partition: orders enter them as they are placed, and leave with them."""

    def __init__(self, journal: str) -> None:
        self.journal = journal

    def enter(self, order_id: str, at: At, rows: Rows) -> tuple[str | None, tuple[Put, ...]]:
        """The cohort of an order that is placed here and now, and the row that names it; none before all began."""
        horizon = rows.horizon(at.partition)
        if horizon is None or horizon.width is None:
            return None, ()
        number = at.offset // horizon.width
        name, key = f"{at.partition}:{number}", cohort_key(number)
        known = self._cohort(key, rows) or Cohort(-1, name, ())
        if known.version >= at.offset:
            # A crash came between this row and the order's own.
            return name, ()
        row = Cohort(at.offset, name, (*known.order_ids, order_id))
        return name, (self._put(key, row),)

    def decide(self, record: ForPartition, at: At, rows: Rows) -> Decision:
        """What the leaving clock's records do."""
        horizon = rows.horizon(at.partition)
        if horizon is None:
            return self._begin(record, at) if isinstance(record, LeavingBegun) else IGNORED
        if horizon.version > at.offset:
            # Only another of these records moves the horizon: it came when all of this one was settled.
            return repeated()
        if isinstance(record, CohortsClosed):
            return self._close(record, horizon, at, rows)
        if isinstance(record, CohortsForgotten):
            return self._forget(record, horizon, at, rows)
        return repeated() if horizon.version == at.offset else IGNORED

    def _begin(self, record: LeavingBegun, at: At) -> Decision:
        first = at.offset // record.width
        row = Horizon(at.offset, first, kept=first, width=record.width)
        return Decision(Verdict.APPLIED, others=(self._put(horizon_key(at.partition), row),))

    def _close(self, record: CohortsClosed, horizon: Horizon, at: At, rows: Rows) -> Decision:
        if any(len(each.at) != len(_STEPS) for each in record.orders):
            raise Rejected(
                Fault.INVALID, f"each order names the partitions of its rows at {len(_STEPS)} services"
            )
        numbers = range(record.first, record.below)
        if horizon.version == at.offset:
            closed = self._cohort(closed_key(record.below), rows)
            assert closed is not None
            return Decision(
                Verdict.REPEATED,
                sends=_farewells(record, closed.order_ids, at),
                others=self._without(map(cohort_key, numbers), at, rows),
            )
        if record.first != horizon.below or not numbers or record.below > at.offset // (horizon.width or 1):
            return IGNORED
        order_ids = [
            order_id
            for number in numbers
            for order_id in getattr(rows.entry(cohort_key(number)), "order_ids", ())
        ]
        gone = self._gone(order_ids, record, at, rows)
        if gone is None:
            return Decision(
                Verdict.IGNORED, note=f"cohorts {record.first} to {record.below} are not closed yet"
            )
        name = f"{at.partition}:{record.below - 1}"
        together = Cohort(at.offset, name, tuple(order_ids), first=record.first, closed_at=at.time)
        moved = horizon._replace(version=at.offset, below=record.below)
        return Decision(
            Verdict.APPLIED,
            sends=_farewells(record, order_ids, at),
            others=(
                *gone,
                self._put(closed_key(record.below), together),
                self._put(horizon_key(at.partition), moved),
                *self._without(map(cohort_key, numbers), at, rows),
            ),
        )

    def _gone(
        self, order_ids: Iterable[str], record: CohortsClosed, at: At, rows: Rows
    ) -> tuple[Put, ...] | None:
        """The small rows of these orders, or None where one has not ended, not long enough ago, or is not named."""
        named = {each.order_id for each in record.orders}
        found = []
        for order_id in order_ids:
            row = rows.order(order_id)
            if row is not None and row.version > at.offset:
                # A later record made it what it is; when this one came for the first time it was passed over.
                return None
            if isinstance(row, OrderRow):
                if not is_over(row, record.after, at.time) or row.cohort is None:
                    return None
                row = GoneOrder(at.offset, row.status, row.cohort, digest(row.order))
            if row is None or order_id not in named:
                return None
            found.append(self._put(order_id, row))
        return tuple(found)

    def _forget(self, record: CohortsForgotten, horizon: Horizon, at: At, rows: Rows) -> Decision:
        key = closed_key(record.below)
        closed = self._cohort(key, rows)
        again = horizon.version == at.offset
        if closed is None or closed.closed_at is None:
            return repeated() if again else IGNORED
        if not again and not (
            record.first == closed.first == horizon.kept and at.time - closed.closed_at >= record.after
        ):
            return IGNORED
        gone = (each for each in closed.order_ids if isinstance(rows.order(each), GoneOrder))
        moved = horizon._replace(version=at.offset, kept=record.below)
        return Decision(
            Verdict.REPEATED if again else Verdict.APPLIED,
            others=(
                *(() if again else (self._put(horizon_key(at.partition), moved),)),
                *self._without((*gone, key), at, rows),
            ),
        )

    def _without(self, keys: Iterable[str], at: At, rows: Rows) -> tuple[Put, ...]:
        return without(self.journal, keys, at, rows)

    def _cohort(self, key: str, rows: Rows) -> Cohort | None:
        found = rows.entry(key)
        assert found is None or isinstance(found, Cohort)
        return found

    def _put(self, key: str, row: Row) -> Put:
        return Put(self.journal, key, row)


def is_over(row: OrderRow, after: int, time: int) -> bool:
    """Whether the order ended at least so many milliseconds before this time; both times are Kafka's."""
    return row.status not in OPEN_STATUSES and row.ended_at is not None and time - row.ended_at >= after


def without(journal: str, keys: Iterable[str], at: At, rows: Rows) -> tuple[Put, ...]:
    """Nothing in place of those of these rows that are there. A younger one is of a later order with the same id."""
    found = ((key, rows.entry(key)) for key in keys)
    return tuple(
        Put(journal, key, Nothing(at.offset))
        for key, row in found
        if row is not None and row.version <= at.offset
    )


def _farewells(record: CohortsClosed, order_ids: Iterable[str], at: At) -> tuple[OrdersLeft, ...]:
    """To every partition of every service, so that each knows the sequence."""
    named = {each.order_id: each for each in record.orders}
    orders = [named[each] for each in order_ids]
    return tuple(
        OrdersLeft(
            partition=partition,
            step=step,
            source=at.partition,
            first=record.first,
            below=record.below,
            order_ids=tuple(each.order_id for each in orders if each.at[number] == partition),
        )
        for number, step in enumerate(_STEPS)
        for partition in range(record.partitions)
    )


def left(journal: str, record: OrdersLeft, at: At, rows: Rows) -> Decision:
    """The rows of these orders leave the journal of a service; what they moved stays in its totals."""
    horizon = rows.horizon(record.source)
    if horizon is not None and horizon.version == at.offset:
        gone = without(journal, record.order_ids, at, rows)
        return Decision(Verdict.REPEATED, others=gone)
    if horizon is not None and (horizon.version > at.offset or record.below <= horizon.below):
        return repeated()
    if horizon is not None and record.first != horizon.below:
        raise Rejected(
            Fault.CONTRADICTION,
            f"orders of partition {record.source} left from cohort {record.first} on, but the last that was heard "
            f"of is {horizon.below - 1}: a record is missing; nothing leaves any more",
        )
    moved = Put(journal, horizon_key(record.source), Horizon(at.offset, record.below))
    gone = without(journal, record.order_ids, at, rows)
    return Decision(Verdict.APPLIED, others=(*_totals(journal, record, at, rows), moved, *gone))


def _totals(journal: str, record: OrdersLeft, at: At, rows: Rows) -> Iterator[Put]:
    """What these orders moved, and did not move back, added to the totals of each balance."""
    sums: dict[str, str | int] = {}
    for order_id in record.order_ids:
        row = rows.journal(order_id)
        if row is not None and row.state is State.DONE:
            for key, amount in (row.moves or {}).items():
                sums[key] = _plus(amount, sums.get(key))
    for key, amount in sums.items():
        total = rows.entry(f"gone:{key}")
        assert total is None or isinstance(total, Total)
        if total is None or total.version < at.offset:
            moved = _plus(amount, None if total is None else total.moved)
            yield Put(journal, f"gone:{key}", Total(at.offset, moved))


def _plus(amount: str | int, other: str | int | None) -> str | int:
    """Units are whole numbers, money is a decimal string."""
    if other is None:
        return amount
    if isinstance(amount, int) and isinstance(other, int):
        return amount + other
    return str(Decimal(amount) + Decimal(other))
