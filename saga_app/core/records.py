"""The records on the wire: frozen pydantic models, unknown fields refused, `type` is the discriminator.

`docs/reference/wire.md` explains each record and says who sends it.
"""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import FailFast, Field, model_validator

from saga_app.core import money
from saga_app.core.amounts import amounts
from saga_app.core.fields import (
    AS_TUPLE,
    LARGEST_QUANTITY,
    MOST_LINES,
    Code,
    Country,
    Currency,
    Id,
    Model,
    Money,
    Natural,
    Note,
    Patience,
    Provided,
    ProviderName,
    Reference,
    SegmentName,
    TypedId,
)
from saga_app.core.free_text import FreeReference, Metadata, pairs
from saga_app.core.order import Line, Lines, Order, OrderRoute, PricedLines, merged, require_one_payment
from saga_app.core.refund import Refund
from saga_app.core.step_names import StepName as StepName  # a type of fields, as `Reason` is

#: Far in the future, and shorter than a card number, so that none is mistaken for one.
LATEST_SECOND: Final = 99_999_999_999


class Reason(StrEnum):
    """The reason why an order turned round."""

    OVER_LIMIT = "over_limit"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    UNKNOWN_SKU = "unknown_sku"
    OUT_OF_STOCK = "out_of_stock"
    UNDELIVERABLE = "undeliverable"
    DECLINED = "declined"
    REQUESTED = "requested"
    TIMED_OUT = "timed_out"


class RefundReason(StrEnum):
    """The reason why a refund was refused."""

    NOT_COMPLETED = "not_completed"
    MORE_THAN_PAID = "more_than_paid"
    MORE_THAN_TAKEN = "more_than_taken"
    NOTHING_LEFT = "nothing_left"
    PAID_OUTSIDE = "paid_outside"
    TOO_MANY_LINES = "too_many_lines"
    NOT_ON_ROUTE = "not_on_route"


class OrderPlaced(Model):
    """Start an order. Forgiving: `{"order_id": 1, "amount": 500}` is whole."""

    type: Literal["OrderPlaced"] = "OrderPlaced"
    order_id: TypedId
    amount: Money | None = None
    customer_id: TypedId | None = None
    currency: Currency = "GBP"
    shipping: Money | None = None
    tax: Money | None = None
    discount: Money | None = None
    lines: PricedLines = ()
    country: Country | None = None
    payment_method: Provided | None = None
    payment_reference: Provided | None = None
    patience: Patience | None = None
    warehouse: TypedId = "main"
    reference: FreeReference | None = None
    metadata: Metadata | None = None

    @cached_property
    def order(self) -> Order:
        """The normal form; `ValueError` where amounts do not agree, or two payments are named."""
        amount, shipping, tax, discount = amounts(
            self.currency, self.amount, self.lines, self.shipping, self.tax, self.discount
        )
        require_one_payment(self.payment_method, self.payment_reference, amount)
        return Order.of(
            order_id=self.order_id,
            customer_id=self.customer_id,
            currency=self.currency,
            amount=amount,
            shipping=shipping,
            tax=tax,
            discount=discount,
            country=self.country,
            payment_method=self.payment_method,
            payment_reference=self.payment_reference,
            patience=self.patience,
            warehouse=self.warehouse,
            reference=self.reference,
            metadata=pairs(self.metadata),
            lines=merged([(line.sku, line.quantity) for line in self.lines]),
            route=None,
        )


class CancellationRequested(Model):
    """Cancel an order if it is not too late."""

    type: Literal["CancellationRequested"] = "CancellationRequested"
    order_id: TypedId
    note: Note | None = None


class DeadlinePassed(Model):
    """The checkout worker's clock: try number `attempt` (from 0) took too long; `last` if none is left."""

    type: Literal["DeadlinePassed"] = "DeadlinePassed"
    order_id: Id
    attempt: Annotated[int, Field(ge=0)]
    last: bool


class OrderCompleted(Model):
    """The last step is done."""

    type: Literal["OrderCompleted"] = "OrderCompleted"
    order_id: Id
    segment: SegmentName | None = None


class OrderCancelled(Model):
    """Every step is compensated, the first one last."""

    type: Literal["OrderCancelled"] = "OrderCancelled"
    order_id: Id
    reason: Annotated[Reason, Field(strict=False)]
    step: Annotated[StepName, Field(strict=False)]
    segment: SegmentName | None = None


class RefundOpened(Model):
    """Give back money of a completed order, and restock its goods if wanted; without an amount, all that is left.

    An id counts once for each order. `lines` are the units that come back, and need an amount: the prices of an order
    are not kept. With `restock` they go into the warehouse that they came from.
    """

    type: Literal["RefundOpened"] = "RefundOpened"
    order_id: TypedId
    refund_id: TypedId
    amount: Money | None = None
    lines: Lines = ()
    restock: bool = False
    note: Note | None = None

    @model_validator(mode="after")
    def _gives_something_back(self) -> Self:
        if self.lines and self.amount is None:
            raise ValueError("lines need an amount, which may be 0: the prices of an order are not kept")
        if self.amount is None:
            return self
        if self.amount < 0:
            raise ValueError("an amount must not be negative")
        if self.restock and not self.lines:
            raise ValueError("with an amount, lines say what to restock")
        if not self.amount and not self.restock:
            raise ValueError("a refund gives money back, or restocks goods")
        self.returned  # noqa: B018
        return self

    @cached_property
    def returned(self) -> tuple[Line, ...]:
        """The lines, merged by SKU and sorted; `ValueError` if there are too many units."""
        return merged((line.sku, line.quantity) for line in self.lines)


class RefundCompleted(Model):
    """The money of a refund is given back, and its goods are in stock."""

    type: Literal["RefundCompleted"] = "RefundCompleted"
    order_id: Id
    refund_id: Id
    segment: SegmentName | None = None


class RefundRefused(Model):
    """Payment gives nothing back for this refund, and nothing was restocked."""

    type: Literal["RefundRefused"] = "RefundRefused"
    order_id: Id
    refund_id: Id
    reason: Annotated[RefundReason, Field(strict=False)]
    segment: SegmentName | None = None


class StepRequest(Model):
    """A step request: from one step to the next, or to the one before. It carries the whole order.

    An id may be used again after its order is purged: the segment tells those orders apart.
    """

    order: Order
    segment: SegmentName | None = None

    @property
    def order_id(self) -> str:
        return self.order.order_id


class Do(StepRequest):
    """Asks a step for its action."""


class Undo(StepRequest):
    """Asks a step for its compensation: to undo its action. It says why and at which step the order turned round."""

    reason: Annotated[Reason, Field(strict=False)]
    step: Annotated[StepName, Field(strict=False)]


class RefundRequest(StepRequest):
    """Asks a service for its part of a refund. The order has completed, so nothing of a refund is compensated."""

    refund: Refund


class RepaymentRequested(RefundRequest):
    """Give the money of a refund back. Payment comes first: it may refuse, and nothing is done then."""

    type: Literal["RepaymentRequested"] = "RepaymentRequested"


class RestockRequested(RefundRequest):
    """Put the returned goods of a refund into stock; the last step of a refund that restocks."""

    type: Literal["RestockRequested"] = "RestockRequested"


#: To compare types is quicker than `isinstance`, which runs Python code of pydantic.
REFUND_REQUESTS: Final = (RepaymentRequested, RestockRequested)


class PaymentRequested(Do):
    """Take the payment."""

    type: Literal["PaymentRequested"] = "PaymentRequested"


class RefundRequested(Undo):
    """Give the payment back."""

    type: Literal["RefundRequested"] = "RefundRequested"


class ReservationRequested(Do):
    """Reserve the stock."""

    type: Literal["ReservationRequested"] = "ReservationRequested"


class ReleaseRequested(Undo):
    """Put the stock back."""

    type: Literal["ReleaseRequested"] = "ReleaseRequested"


class ShipmentRequested(Do):
    """Book the shipment."""

    type: Literal["ShipmentRequested"] = "ShipmentRequested"


class ShipmentCancellationRequested(Undo):
    """Do not book the shipment; the first record of every cancellation."""

    type: Literal["ShipmentCancellationRequested"] = "ShipmentCancellationRequested"


class CaptureRequested(Do):
    """Take the money that was authorised. It comes behind the pivot: nothing is undone any more."""

    type: Literal["CaptureRequested"] = "CaptureRequested"


class Outcome(StrEnum):
    """The state of knowledge of an effect. The first four are facts, which only grow; the others say nothing yet.

    DONE: the effect is there; of a payment that is captured afterwards, the money is authorised. CAPTURED: that money
    is taken. REFUSED: it is not there, and no request that is still under way can bring it. UNDONE: it was there, and
    is taken back. PENDING: the provider is not ready yet. UNKNOWN: nobody knows.
    """

    DONE = "done"
    CAPTURED = "captured"
    REFUSED = "refused"
    UNDONE = "undone"
    PENDING = "pending"
    UNKNOWN = "unknown"


class StepAnswered(Model):
    """An answer about an order's effect at a provider: from the dispatcher, an event of the provider, or a person.

    `key` is the key of the step's records of this order, and so their partition. `version` is that of the row that
    asked: PENDING and UNKNOWN count for this row only. `settles`: a person has looked, and ends a conflict in the row.
    `capture_before`: seconds since 1970 at which an authorisation runs out, if the provider has said so.
    """

    type: Literal["StepAnswered"] = "StepAnswered"
    order_id: Id
    segment: SegmentName | None = None
    step: Annotated[StepName, Field(strict=False)]
    key: Id
    outcome: Annotated[Outcome, Field(strict=False)]
    version: Natural | None = None
    reference: Reference | None = None
    reason: Annotated[Reason, Field(strict=False)] | None = None
    code: Code | None = None
    detail: Note | None = None
    settles: Literal[True] | None = None
    capture_before: Annotated[int, Field(ge=0, le=LATEST_SECOND)] | None = None

    @model_validator(mode="after")
    def _names_what_is_done(self) -> Self:
        if self.outcome in (Outcome.DONE, Outcome.CAPTURED) and self.reference is None:
            raise ValueError("an effect that is done has a reference: nobody could undo it otherwise")
        return self


class FundsDeposited(Model):
    """Money into a customer's account; for one customer, the same id twice counts once."""

    type: Literal["FundsDeposited"] = "FundsDeposited"
    deposit_id: TypedId
    customer_id: TypedId
    currency: Currency = "GBP"
    amount: Money

    @model_validator(mode="after")
    def _is_positive(self) -> Self:
        if money.normal(self.amount, self.currency) <= 0:
            raise ValueError("a deposit must be more than zero")
        return self


class StockReceived(Model):
    """Stock into a warehouse; for one warehouse, the same id twice counts once."""

    type: Literal["StockReceived"] = "StockReceived"
    delivery_id: TypedId
    warehouse: TypedId = "main"
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=MOST_LINES), FailFast(), AS_TUPLE]

    @model_validator(mode="after")
    def _can_be_merged(self) -> Self:
        merged((line.sku, line.quantity) for line in self.lines)
        return self


class FundsReason(StrEnum):
    """The reason why money leaves an account otherwise than for an order."""

    PAYOUT = "payout"
    FEE = "fee"
    CORRECTION = "correction"


class FundsWithdrawn(Model):
    """Money out of a customer's account, never more than is there; for one customer, the same id twice counts once."""

    type: Literal["FundsWithdrawn"] = "FundsWithdrawn"
    withdrawal_id: TypedId
    customer_id: TypedId
    currency: Currency = "GBP"
    amount: Money
    reason: Annotated[FundsReason, Field(strict=False)] = FundsReason.PAYOUT
    note: Note | None = None

    @model_validator(mode="after")
    def _is_positive(self) -> Self:
        if money.normal(self.amount, self.currency) <= 0:
            raise ValueError("a withdrawal must be more than zero")
        return self


class StockReason(StrEnum):
    """The reason why the units in a warehouse are others than deliveries and orders say."""

    STOCKTAKE = "stocktake"
    DAMAGE = "damage"
    LOSS = "loss"
    WITHDRAWAL = "withdrawal"


class AdjustedLine(Model):
    """One article of an adjustment: the units that it is more than was known, or, below zero, less."""

    sku: TypedId
    quantity: Annotated[int, Field(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)]


class StockAdjusted(Model):
    """Units in a warehouse are more or less than was known, never fewer than are reserved; the same id counts once.

    `quantity` is the difference, and not the units that were counted: orders go on while somebody counts.
    """

    type: Literal["StockAdjusted"] = "StockAdjusted"
    adjustment_id: TypedId
    warehouse: TypedId = "main"
    reason: Annotated[StockReason, Field(strict=False)]
    lines: Annotated[
        tuple[AdjustedLine, ...], Field(min_length=1, max_length=MOST_LINES), FailFast(), AS_TUPLE
    ]
    note: Note | None = None

    @model_validator(mode="after")
    def _fits_its_reason(self) -> Self:
        if len({line.sku for line in self.lines}) != len(self.lines):
            raise ValueError("an article is named once")
        if any(not line.quantity for line in self.lines):
            raise ValueError("a difference of 0 units changes nothing")
        if self.reason is not StockReason.STOCKTAKE and any(line.quantity > 0 for line in self.lines):
            raise ValueError(
                "only a stocktake finds more units; all else takes some, with a quantity below zero"
            )
        return self


class PolicyChanged(Model):
    """A new parameter: `limit` (payment), `countries` or `carrier` (shipping), `route` or `patience` (checkout).

    `carrier` names the provider that books shipments from then on; `none`: the service itself does. `route` names the
    steps that orders pass which are placed from then on, `patience` the seconds that they may take where they do not
    say it themselves.
    """

    type: Literal["PolicyChanged"] = "PolicyChanged"
    policy_id: TypedId
    limit: Money | None = None
    countries: Annotated[tuple[Country, ...], AS_TUPLE] | None = None
    carrier: ProviderName | None = None
    route: OrderRoute | None = None
    patience: Patience | None = None

    @model_validator(mode="after")
    def _has_one_parameter(self) -> Self:
        if [self.limit, self.countries, self.carrier, self.route, self.patience].count(None) != 4:
            raise ValueError(
                "a policy has either a limit (payment), or countries or a carrier (shipping), or a route or a patience "
                "(checkout)"
            )
        if self.limit is not None and not (0 <= self.limit <= money.LARGEST):
            raise ValueError(f"a limit is between 0 and {money.LARGEST}")
        return self

    def _parameters(self) -> tuple[object, ...]:
        return self.limit, self.countries, self.carrier, self.patience


class ForPartition(Model):
    """A record about a whole partition of its inbox, which it names. Each is a round of its own."""

    type: str
    partition: Natural


#: Segments that one record may close, with orders in them or not.
MOST_SEGMENTS: Final = 10_000


class RetentionStarted(ForPartition):
    """The checkout worker's retention timer: from here on orders are placed in segments of so many offsets."""

    type: Literal["RetentionStarted"] = "RetentionStarted"
    segment_width: Annotated[int, Field(ge=1, le=500)]


class EvictedOrder(Model):
    """An order to evict, and in which partition of each step's inbox its rows are, in the sequence of the steps."""

    order_id: Id
    partitions: Annotated[tuple[Natural, ...], AS_TUPLE, Field(min_length=1, max_length=16)]


class SegmentsClosed(ForPartition):
    """The checkout worker's retention timer: all orders of these segments ended `retention_ms` ago or before.

    `steps`: every step that the worker knows; None: those that are built in.
    """

    type: Literal["SegmentsClosed"] = "SegmentsClosed"
    first_segment: Natural
    below_segment: Natural
    retention_ms: Natural
    partition_count: Annotated[int, Field(ge=1, le=1_000)]
    steps: OrderRoute | None = None
    orders: Annotated[tuple[EvictedOrder, ...], AS_TUPLE, Field(max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _stay_within(self) -> Self:
        if any(partition >= self.partition_count for order in self.orders for partition in order.partitions):
            raise ValueError(f"an order is in a partition beyond the {self.partition_count} that there are")
        _are_not_too_many(self.first_segment, self.below_segment)
        return self


class SegmentsPurged(ForPartition):
    """The checkout worker's retention timer: these segments were closed together, `retention_ms` ago or before."""

    type: Literal["SegmentsPurged"] = "SegmentsPurged"
    first_segment: Natural
    below_segment: Natural
    retention_ms: Natural


class OrdersEvicted(ForPartition):
    """These orders of a checkout partition are evicted, and with them every segment of it below `below_segment`."""

    type: Literal["OrdersEvicted"] = "OrdersEvicted"
    step: Annotated[StepName, Field(strict=False)]
    checkout_partition: Natural
    first_segment: Natural
    below_segment: Natural
    order_ids: Annotated[tuple[Id, ...], AS_TUPLE, Field(max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _count_once(self) -> Self:
        if len(set(self.order_ids)) != len(self.order_ids):
            raise ValueError("an order is named once")
        _are_not_too_many(self.first_segment, self.below_segment)
        return self


def _are_not_too_many(first_segment: int, below_segment: int) -> None:
    if below_segment - first_segment > MOST_SEGMENTS:
        raise ValueError(f"one record closes at most {MOST_SEGMENTS} segments")


Record = (
    OrderPlaced
    | CancellationRequested
    | DeadlinePassed
    | OrderCompleted
    | OrderCancelled
    | RefundOpened
    | RefundCompleted
    | RefundRefused
    | PaymentRequested
    | RefundRequested
    | ReservationRequested
    | ReleaseRequested
    | ShipmentRequested
    | ShipmentCancellationRequested
    | RepaymentRequested
    | RestockRequested
    | CaptureRequested
    | StepAnswered
    | FundsDeposited
    | FundsWithdrawn
    | StockReceived
    | StockAdjusted
    | PolicyChanged
    | RetentionStarted
    | SegmentsClosed
    | SegmentsPurged
    | OrdersEvicted
)

#: The types that people send. All others are internal: only services write them, so a new type is internal too.
FROM_PEOPLE: Final = (
    OrderPlaced,
    CancellationRequested,
    RefundOpened,
    FundsDeposited,
    FundsWithdrawn,
    StockReceived,
    StockAdjusted,
    PolicyChanged,
)
