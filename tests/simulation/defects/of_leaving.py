"""Orders that leave too early, not for good, or with what must stay."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from saga_app.core import checkout, leaving
from saga_app.core.decision import At, Decision, Put, Rows
from saga_app.core.records import OrdersLeft
from saga_app.core.rows import GoneOrder, OrderRow
from saga_app.durable import leaving as clock
from saga_app.durable import restore
from saga_app.durable import round as rounds
from saga_app.durable.ports import Outgoing, Shelf, row_record
from tests.simulation import world

is_over = leaving.is_over


def totals_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    """What the orders moved is added to the totals, and then nothing else of them is kept."""

    def none(journal: str, record: OrdersLeft, at: At, rows: Rows) -> Iterator[Put]:
        return iter(())

    patch.setattr(leaving, "_totals", none)


def a_late_slip_is_decided(patch: pytest.MonkeyPatch) -> None:
    """A slip of a cohort below the horizon is ignored, whoever sent it and whenever."""

    def never(cohort: str | None, rows: Rows) -> bool:
        return False

    patch.setattr(leaving, "has_left", never)


def open_orders_leave(patch: pytest.MonkeyPatch) -> None:
    """Only orders that have ended leave."""

    def always(row: OrderRow, after: int, time: int) -> bool:
        return True

    patch.setattr(leaving, "is_over", always)
    patch.setattr(clock, "is_over", always)


def the_workers_clock_decides(patch: pytest.MonkeyPatch) -> None:
    """How long ago an order ended is told by the times of records alone."""
    running: list[world.World] = []
    begin = world.World.run

    def run(self: world.World) -> None:
        running[:] = [self]
        begin(self)

    def now(row: OrderRow, after: int, time: int) -> bool:
        return is_over(row, after, running[0].now)

    patch.setattr(world.World, "run", run)
    patch.setattr(leaving, "is_over", now)


def what_must_not_be_lost_is_written_last(patch: pytest.MonkeyPatch) -> None:
    """Totals come first, then the horizon, and then tombstones."""

    def backwards(self: Decision) -> tuple[Put, ...]:
        return (*reversed(self.others), *((self.journal,) if self.journal else ()), *self.balances)

    patch.setattr(Decision, "puts", property(backwards))


def a_row_that_was_written_late_stays(patch: pytest.MonkeyPatch) -> None:
    """A row below the horizon that is found in a changelog is dropped."""

    def none(shelf: Shelf, keys: Iterable[bytes] | None) -> dict[bytes, bytes]:
        return {}

    patch.setattr(restore, "_below_horizon", none)


def a_tombstone_has_no_version(patch: pytest.MonkeyPatch) -> None:
    """A tombstone carries its version, so a restore compares it like any row."""

    def plain(*arguments: Any) -> Outgoing:
        return row_record(*arguments)._replace(headers=())

    patch.setattr(rounds, "row_record", plain)


def a_replay_takes_rows_that_left_for_new_orders(patch: pytest.MonkeyPatch) -> None:
    """A replay of older records whose rows have left has nothing to do, and does nothing."""

    def never(row: OrderRow | GoneOrder | None, at: At, rows: Rows) -> bool:
        return False

    patch.setattr(checkout, "_is_settled", never)
