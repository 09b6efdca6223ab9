"""Orders, step requests and supplies for tests: short to write, and every field that matters to a test can be named."""

from decimal import Decimal
from typing import Any

from saga_app.core import records
from saga_app.core.numbers import version_at
from saga_app.core.order import Line, Order
from saga_app.core.records import Reason, RefundReason, StepName
from saga_app.core.refund import Refund
from saga_app.core.rows import Account, Stock

#: The route of an order that is captured once it is shipped.
CAPTURED_LATER = (StepName.PAYMENT, StepName.INVENTORY, StepName.SHIPPING, StepName.CAPTURE)


def order(order_id: str = "o1", amount: str = "40.00", **fields: Any) -> Order:
    """An order in normal form; `lines` are pairs of SKU and quantity."""
    lines = tuple(Line(sku=sku, quantity=quantity) for sku, quantity in fields.pop("lines", ()))
    defaults = {"currency": "GBP", "warehouse": "main"}
    return Order(order_id=order_id, amount=Decimal(amount), lines=lines, **{**defaults, **fields})


def placed(order_id: str = "o1", amount: str = "40.00", **fields: Any) -> records.OrderPlaced:
    """An order as people send it."""
    return records.OrderPlaced(order_id=order_id, amount=Decimal(amount), **fields)


def pay(of: Order) -> records.PaymentRequested:
    return records.PaymentRequested(order=of)


def refund(
    of: Order, reason: Reason = Reason.REQUESTED, step: StepName = StepName.CHECKOUT
) -> records.RefundRequested:
    return records.RefundRequested(order=of, reason=reason, step=step)


def reserve(of: Order) -> records.ReservationRequested:
    return records.ReservationRequested(order=of)


def release(
    of: Order, reason: Reason = Reason.REQUESTED, step: StepName = StepName.CHECKOUT
) -> records.ReleaseRequested:
    return records.ReleaseRequested(order=of, reason=reason, step=step)


def ship(of: Order) -> records.ShipmentRequested:
    return records.ShipmentRequested(order=of)


def call_off(
    of: Order, reason: Reason = Reason.REQUESTED, step: StepName = StepName.CHECKOUT
) -> records.ShipmentCancellationRequested:
    return records.ShipmentCancellationRequested(order=of, reason=reason, step=step)


def capture(of: Order) -> records.CaptureRequested:
    return records.CaptureRequested(order=of)


def completed(order_id: str = "o1") -> records.OrderCompleted:
    return records.OrderCompleted(order_id=order_id)


def cancelled(
    order_id: str = "o1", reason: Reason = Reason.REQUESTED, step: StepName = StepName.CHECKOUT
) -> records.OrderCancelled:
    return records.OrderCancelled(order_id=order_id, reason=reason, step=step)


def cancel(order_id: str = "o1") -> records.CancellationRequested:
    return records.CancellationRequested(order_id=order_id)


def refund_opened(
    refund_id: str = "r1", amount: str | None = None, order_id: str = "o1", **fields: Any
) -> records.RefundOpened:
    """A refund as people send it; `lines` are pairs of SKU and quantity. Without an amount, all that is left."""
    lines = tuple(Line(sku=sku, quantity=quantity) for sku, quantity in fields.pop("lines", ()))
    money = None if amount is None else Decimal(amount)
    return records.RefundOpened(order_id=order_id, refund_id=refund_id, amount=money, lines=lines, **fields)


def part(refund_id: str = "r1", amount: str = "40.00", **fields: Any) -> Refund:
    """A refund as step requests carry it."""
    lines = tuple(Line(sku=sku, quantity=quantity) for sku, quantity in fields.pop("lines", ()))
    return Refund(refund_id=refund_id, amount=Decimal(amount), lines=lines, **fields)


def repay(of: Order, refund: Refund) -> records.RepaymentRequested:
    return records.RepaymentRequested(order=of, refund=refund)


def restock(of: Order, refund: Refund) -> records.RestockRequested:
    return records.RestockRequested(order=of, refund=refund)


def refund_completed(refund_id: str = "r1", order_id: str = "o1") -> records.RefundCompleted:
    return records.RefundCompleted(order_id=order_id, refund_id=refund_id)


def refund_refused(
    refund_id: str = "r1", reason: RefundReason = RefundReason.MORE_THAN_PAID
) -> records.RefundRefused:
    return records.RefundRefused(order_id="o1", refund_id=refund_id, reason=reason)


def deadline(order_id: str = "o1", attempt: int = 0, last: bool = False) -> records.DeadlinePassed:
    return records.DeadlinePassed(order_id=order_id, attempt=attempt, last=last)


def deposit(
    deposit_id: str = "d1", amount: str = "100.00", customer_id: str = "c1", currency: str = "GBP"
) -> records.FundsDeposited:
    return records.FundsDeposited(
        deposit_id=deposit_id, customer_id=customer_id, currency=currency, amount=Decimal(amount)
    )


def delivery(delivery_id: str = "d1", warehouse: str = "main", /, **quantities: int) -> records.StockReceived:
    lines = tuple(Line(sku=sku, quantity=quantity) for sku, quantity in quantities.items())
    return records.StockReceived(delivery_id=delivery_id, warehouse=warehouse, lines=lines)


def withdrawal(
    withdrawal_id: str = "w1", amount: str = "20.00", customer_id: str = "c1", currency: str = "GBP"
) -> records.FundsWithdrawn:
    return records.FundsWithdrawn(
        withdrawal_id=withdrawal_id, customer_id=customer_id, currency=currency, amount=Decimal(amount)
    )


def adjustment(
    adjustment_id: str = "a1",
    reason: records.StockReason = records.StockReason.STOCKTAKE,
    warehouse: str = "main",
    /,
    **differences: int,
) -> records.StockAdjusted:
    lines = tuple(records.AdjustedLine(sku=sku, quantity=each) for sku, each in differences.items())
    return records.StockAdjusted(adjustment_id=adjustment_id, warehouse=warehouse, reason=reason, lines=lines)


def limit(policy_id: str, amount: str) -> records.PolicyChanged:
    return records.PolicyChanged(policy_id=policy_id, limit=Decimal(amount))


def countries(policy_id: str, *codes: str) -> records.PolicyChanged:
    return records.PolicyChanged(policy_id=policy_id, countries=codes)


def route_policy(policy_id: str, *names: StepName) -> records.PolicyChanged:
    return records.PolicyChanged(policy_id=policy_id, route=names)


def patience(policy_id: str, seconds: int) -> records.PolicyChanged:
    return records.PolicyChanged(policy_id=policy_id, patience=seconds)


def retention_started(segment_width: int = 2) -> records.RetentionStarted:
    return records.RetentionStarted(partition=0, segment_width=segment_width)


def segments_closed(first: int, below: int, *order_ids: str, retention_ms: int = 0) -> records.SegmentsClosed:
    orders = tuple(records.EvictedOrder(order_id=each, partitions=(0, 0, 0)) for each in order_ids)
    return records.SegmentsClosed(
        partition=0,
        first_segment=first,
        below_segment=below,
        retention_ms=retention_ms,
        partition_count=1,
        orders=orders,
    )


def segments_purged(first: int, below: int, retention_ms: int = 0) -> records.SegmentsPurged:
    return records.SegmentsPurged(
        partition=0, first_segment=first, below_segment=below, retention_ms=retention_ms
    )


def orders_evicted(
    first: int, below: int, *order_ids: str, step: StepName = StepName.PAYMENT
) -> records.OrdersEvicted:
    return records.OrdersEvicted(
        partition=0,
        step=step,
        checkout_partition=0,
        first_segment=first,
        below_segment=below,
        order_ids=order_ids,
    )


def step_request(record: records.Record, segment: str = "0:0") -> records.Record:
    """The step request or ending as that of an order in a segment."""
    return record.model_copy(update={"segment": segment})


def account(version: int, deposited: str, balance: str) -> Account:
    return Account(version_at(version), Decimal(deposited), Decimal(balance))


def stock(version: int, received: int, available: int) -> Stock:
    return Stock(version_at(version), received, available)


def answered(
    outcome: records.Outcome,
    reference: str | None = None,
    version: int | None = None,
    **fields: Any,
) -> records.StepAnswered:
    """An answer about the payment of order o1 at its provider."""
    whole = {"order_id": "o1", "step": StepName.PAYMENT, "key": "c1", **fields}
    return records.StepAnswered(outcome=outcome, reference=reference, version=version, **whole)


def carrier(policy_id: str, name: str) -> records.PolicyChanged:
    return records.PolicyChanged(policy_id=policy_id, carrier=name)
