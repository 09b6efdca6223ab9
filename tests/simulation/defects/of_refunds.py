"""Refunds that are given twice, by half, for too much, or for an order that has none."""

from typing import Any

import pytest

from saga_app.core import refund_step, refunds
from saga_app.core.decider import Decision, Position
from saga_app.core.order import Order
from saga_app.core.records import Record, RefundRequest, RepaymentRequested, RestockRequested
from saga_app.core.refund_step import RefundStep
from saga_app.core.retention import eviction, segments
from saga_app.core.rows import OPEN_STATUSES, JournalRow, OrderRow, Status


def a_repeat_is_repaid(patch: pytest.MonkeyPatch) -> None:
    """Each part of a refund is done once, however often it is asked for."""
    decide = RefundStep.decide

    def forgetful(self: RefundStep, record: RefundRequest, row: JournalRow, *more: Any) -> Decision:
        others = tuple(each for each in row.refunds if each.refund_id != record.refund.refund_id)
        return decide(self, record, row._replace(refunds=others), *more)

    patch.setattr(RefundStep, "decide", forgetful)


def refunds_do_not_know_each_other(patch: pytest.MonkeyPatch) -> None:
    """Of two refunds at once the second one gets what the first has left."""
    left, given_back = refunds.left, refund_step.given_back
    patch.setattr(refunds, "left", lambda order, others: left(order, ()))
    patch.setattr(refund_step, "given_back", lambda record, row: given_back(record, row._replace(refunds=())))


def goods_come_before_money(patch: pytest.MonkeyPatch) -> None:
    """Payment may refuse, so nothing is restocked before it has paid back."""
    request = refunds._request

    def hasty(refund: Any, order: Order, segment: str | None) -> Record:
        asked = request(refund, order, segment)
        assert isinstance(asked, RepaymentRequested)
        if not refund.restock:
            return asked
        return RestockRequested(order=order, segment=segment, refund=asked.refund)

    patch.setattr(refunds, "_request", hasty)


def a_refund_ends_with_its_money(patch: pytest.MonkeyPatch) -> None:
    """A refund that restocks ends when its goods are in stock."""
    send = refund_step._send

    def early(output: Any, record: RefundRequest, entry: Any) -> Record:
        refund = record.refund.model_copy(update={"restock": False})
        return send(output, record.model_copy(update={"refund": refund}), entry)

    patch.setattr(refund_step, "_send", early)


def a_cancelled_order_is_refunded(patch: pytest.MonkeyPatch) -> None:
    """Only an order that has completed has refunds."""
    accepted = refunds.accepted

    def generous(record: Any, amount: Any, order: Order, row: OrderRow) -> Any:
        return accepted(record, amount, order, row._replace(status=Status.COMPLETED))

    patch.setattr(refunds, "accepted", generous)


def an_order_with_an_open_refund_is_closed(patch: pytest.MonkeyPatch) -> None:
    """The rows of an order stay while one of its refunds is under way."""

    def hasty(row: OrderRow, retention_ms: int, time: int) -> bool:
        ended = row.status not in OPEN_STATUSES and row.ended_at is not None
        return ended and time - (row.ended_at or 0) >= retention_ms

    patch.setattr(segments, "is_over", hasty)


def a_refund_is_not_asked_for_again(patch: pytest.MonkeyPatch) -> None:
    """The deadlines of an order ask for its refunds until they have ended."""
    patch.setattr(refunds, "requests", lambda row: ())


def balances_of_refunds_do_not_come_back(patch: pytest.MonkeyPatch) -> None:
    """A balance that was lost behind the journal comes back on a replay."""
    again = RefundStep._again

    def careless(self: RefundStep, *about: Any) -> Decision:
        return again(self, *about)._replace(balances=())

    patch.setattr(RefundStep, "_again", careless)


def totals_leave_refunds_out(patch: pytest.MonkeyPatch) -> None:
    """The totals of evicted orders have what their refunds gave back."""
    totals = eviction._totals

    def poorer(journal: str, evicted: Any, at: Position, rows: Any) -> Any:
        return totals(journal, [row._replace(refunds=()) for row in evicted], at, rows)

    patch.setattr(eviction, "_totals", poorer)
