"""The records on the wire: frozen pydantic models, unknown fields refused, `type` is the discriminator.

What each record means and who sends it stands in `docs/reference/wire.md`. Models are strict: a number is
not a string and `true` is not a number. Money is a string of `Decimal` and never a float.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from saga_app.core import countries, money

MOST_LINES = 2_000
LARGEST_QUANTITY = 1_000_000


_PLAIN = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,8})?")


class Reason(StrEnum):
    """Why an order was turned round."""

    OVER_LIMIT = "over_limit"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    UNKNOWN_SKU = "unknown_sku"
    OUT_OF_STOCK = "out_of_stock"
    UNDELIVERABLE = "undeliverable"
    REQUESTED = "requested"
    TIMED_OUT = "timed_out"


class StepName(StrEnum):
    """Where an order was turned round."""

    CHECKOUT = "checkout"
    PAYMENT = "payment"
    INVENTORY = "inventory"
    SHIPPING = "shipping"


def _currency(code: Any) -> Any:
    if not isinstance(code, str) or code not in money.DIGITS:
        raise ValueError("not an active ISO 4217 currency code")
    return code


def _country(code: Any) -> Any:
    if not isinstance(code, str) or code not in countries.CODES:
        raise ValueError("not an ISO 3166 alpha-2 country code")
    return code


def _id_from_number(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _decimal(value: Any) -> Any:
    """What people write as money: a JSON number (read as Decimal) or a plain decimal string."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return Decimal(value)
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        number = Decimal(value)
        if number.adjusted() < 16 and int(number.as_tuple().exponent) >= -8:
            return number
    raise ValueError("an amount is a number or a string of digits, for example 12.50")


def _plainly(value: Decimal) -> str:
    """Money as `_PLAIN` reads it: never with an exponent."""
    return f"{value:f}"


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
TypedId = Annotated[Id, BeforeValidator(_id_from_number, json_schema_input_type=Id | int)]
Currency = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{3}$"),
    BeforeValidator(_currency),
    WithJsonSchema({"enum": sorted(money.DIGITS)}),
]
Country = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{2}$"),
    BeforeValidator(_country),
    WithJsonSchema({"enum": sorted(countries.CODES)}),
]
Money = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(_plainly, return_type=str),
    # No record takes less than nothing.
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": f"^{_PLAIN.pattern[2:]}$"},
            ]
        }
    ),
]
Quantity = Annotated[int, Field(ge=1, le=LARGEST_QUANTITY)]
Note = Annotated[str, StringConstraints(max_length=200)]
#: Orders that leave together: the checkout partition, a colon, and their number there.
CohortName = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}:[0-9]{1,16}$")]
Natural = Annotated[int, Field(ge=0)]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


#: Which fields somebody has set is never asked.
_NO_NAMES: set[str] = set()


class Model(BaseModel):
    """What all records share."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """A record of all its fields, which are known to be right: nothing is validated.

        This is `model_construct` without its care for fields left out and for what `exclude_unset` asks, in a quarter
        of the time that validation takes.
        """
        made = cls.__new__(cls)
        put = object.__setattr__
        put(made, "__dict__", fields)
        put(made, "__pydantic_fields_set__", _NO_NAMES)
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", None)
        return made


class Line(Model):
    """One article of an order in normal form."""

    sku: Id
    quantity: Quantity


class PricedLine(Model):
    """One article as people write it."""

    sku: TypedId
    quantity: Quantity
    unit_price: Money | None = None


# One line that is wrong is enough: an error for each of 85,000 empty ones takes half a second.
Lines = Annotated[tuple[Line, ...], Field(max_length=MOST_LINES), FailFast(), BeforeValidator(_as_tuple)]
PricedLines = Annotated[
    tuple[PricedLine, ...], Field(max_length=MOST_LINES), FailFast(), BeforeValidator(_as_tuple)
]


class Order(Model):
    """An order in normal form: defaults filled in, amount computed, lines merged by SKU and sorted."""

    order_id: Id
    customer_id: Id | None = None
    currency: Currency
    amount: Money
    country: Country | None = None
    warehouse: Id
    lines: Lines

    def model_post_init(self, context: Any, /) -> None:
        """Only the normal form is an order. (A validator would run again for every slip that the order is put into.)"""
        if not money.is_normal(self.amount, self.currency) or self.amount < 0:
            raise ValueError("the amount is not in normal form")
        skus = [line.sku for line in self.lines]
        if len(skus) > 1 and skus != sorted(set(skus)):
            raise ValueError("the lines are not merged and sorted")

    @cached_property
    def canonical(self) -> bytes:
        """The one spelling of this order, as every slip and the `orders` row have it."""
        # Ids, codes and amounts need no escapes.
        customer = "" if self.customer_id is None else f'"customer_id":"{self.customer_id}",'
        country = "" if self.country is None else f'"country":"{self.country}",'
        lines = ",".join([f'{{"sku":"{line.sku}","quantity":{line.quantity}}}' for line in self.lines])
        return (
            f'{{"order_id":"{self.order_id}",{customer}"currency":"{self.currency}","amount":"{self.amount}",'
            f'{country}"warehouse":"{self.warehouse}","lines":[{lines}]}}'
        ).encode()

    @cached_property
    def digest(self) -> str:
        """16 hex digits that tell orders of other content apart."""
        return digest(self.canonical)


def digest(content: bytes) -> str:
    """16 hex digits of BLAKE2b: rows keep it to tell another content under a known id."""
    return blake2b(content, digest_size=8).hexdigest()


def merged(lines: Iterable[tuple[str, int]]) -> tuple[Line, ...]:
    """Lines with quantities added up by SKU, sorted by SKU."""
    totals: dict[str, int] = {}
    for sku, quantity in lines:
        totals[sku] = totals.get(sku, 0) + quantity
    for sku, quantity in totals.items():
        if quantity > LARGEST_QUANTITY:
            raise ValueError(f"the lines of {sku} add up to more than {LARGEST_QUANTITY}")
    return tuple([Line.of(sku=sku, quantity=totals[sku]) for sku in sorted(totals)])


class OrderPlaced(Model):
    """Start an order. Forgiving: `{"order_id": 1, "amount": 500}` is whole."""

    type: Literal["OrderPlaced"] = "OrderPlaced"
    order_id: TypedId
    amount: Money | None = None
    customer_id: TypedId | None = None
    currency: Currency = "GBP"
    lines: PricedLines = ()
    country: Country | None = None
    warehouse: TypedId = "main"

    @cached_property
    def order(self) -> Order:
        """The normal form; `ValueError` where amount and prices do not agree."""
        return Order.of(
            order_id=self.order_id,
            customer_id=self.customer_id,
            currency=self.currency,
            amount=self._total(),
            country=self.country,
            warehouse=self.warehouse,
            lines=merged([(line.sku, line.quantity) for line in self.lines]),
        )

    def _total(self) -> Decimal:
        stated = None if self.amount is None else self._price(self.amount)
        prices = [self._price(line.unit_price) for line in self.lines if line.unit_price is not None]
        if not prices or len(prices) < len(self.lines):
            if stated is None:
                raise ValueError("amount is required unless every line has a unit_price")
            return stated
        total = Decimal(0)
        for line, price in zip(self.lines, prices, strict=True):
            total = money.EXACT.fma(price, line.quantity, total)
        computed = money.normal(total, self.currency)
        if stated is not None and computed != stated:
            raise ValueError(f"amount {stated} is not the sum of the lines {computed}")
        return computed

    def _price(self, value: Decimal) -> Decimal:
        price = money.normal(value, self.currency)
        if value < 0:
            raise ValueError("amount and prices must not be negative")
        return price


class CancellationRequested(Model):
    """Undo an order if it is not too late."""

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
    cohort: CohortName | None = None


class OrderCancelled(Model):
    """The first step is undone."""

    type: Literal["OrderCancelled"] = "OrderCancelled"
    order_id: Id
    reason: Annotated[Reason, Field(strict=False)]
    step: Annotated[StepName, Field(strict=False)]
    cohort: CohortName | None = None


class Slip(Model):
    """A request of one step to the next or to the one before; it carries the order whole.

    A cohort says which of the orders that ever had this id is meant.
    """

    order: Order
    cohort: CohortName | None = None

    @property
    def order_id(self) -> str:
        return self.order.order_id


class Do(Slip):
    """Asks a step to act."""


class Undo(Slip):
    """Asks a step to undo what it did, and says why and where the order was turned round."""

    reason: Annotated[Reason, Field(strict=False)]
    step: Annotated[StepName, Field(strict=False)]


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


class FundsDeposited(Model):
    """Money into a customer's account; the id makes twice once."""

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
    """Stock into a warehouse; the id makes twice once."""

    type: Literal["StockReceived"] = "StockReceived"
    delivery_id: TypedId
    warehouse: TypedId = "main"
    lines: Annotated[
        tuple[Line, ...], Field(min_length=1, max_length=MOST_LINES), FailFast(), BeforeValidator(_as_tuple)
    ]

    @model_validator(mode="after")
    def _can_be_merged(self) -> Self:
        merged((line.sku, line.quantity) for line in self.lines)
        return self


class PolicyChanged(Model):
    """New parameters of a rule: `limit` for payment, `countries` for shipping."""

    type: Literal["PolicyChanged"] = "PolicyChanged"
    policy_id: TypedId
    limit: Money | None = None
    countries: Annotated[tuple[Country, ...], BeforeValidator(_as_tuple)] | None = None

    @model_validator(mode="after")
    def _has_one_parameter(self) -> Self:
        if (self.limit is None) == (self.countries is None):
            raise ValueError("a policy has either a limit (payment) or countries (shipping)")
        if self.limit is not None and not (0 <= self.limit <= money.LARGEST):
            raise ValueError(f"a limit is between 0 and {money.LARGEST}")
        return self


class ForPartition(Model):
    """A record about a whole partition of its inbox, which it names. Each is a round of its own."""

    type: str
    partition: Natural


class LeavingBegun(ForPartition):
    """The checkout worker's clock: from here on orders are placed in cohorts of so many offsets."""

    type: Literal["LeavingBegun"] = "LeavingBegun"
    width: Annotated[int, Field(ge=1, le=1_000_000)]


class Leaver(Model):
    """An order that leaves, and in which partition of each step's inbox its rows are, in the order of the route."""

    order_id: Id
    at: Annotated[tuple[Natural, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=16)]


class CohortsClosed(ForPartition):
    """The checkout worker's clock: all orders of these cohorts ended more than `after` ms ago."""

    type: Literal["CohortsClosed"] = "CohortsClosed"
    first: Natural
    below: Natural
    after: Natural
    partitions: Annotated[int, Field(ge=1, le=1_000)]
    orders: Annotated[tuple[Leaver, ...], BeforeValidator(_as_tuple), Field(max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _stay_within(self) -> Self:
        if any(partition >= self.partitions for order in self.orders for partition in order.at):
            raise ValueError(f"an order is in a partition beyond the {self.partitions} that there are")
        return self


class CohortsForgotten(ForPartition):
    """The checkout worker's clock: these cohorts, closed together, left more than `after` ms ago."""

    type: Literal["CohortsForgotten"] = "CohortsForgotten"
    first: Natural
    below: Natural
    after: Natural


class OrdersLeft(ForPartition):
    """These orders of checkout's partition `source` have left, and with them all of its cohorts below."""

    type: Literal["OrdersLeft"] = "OrdersLeft"
    step: Annotated[StepName, Field(strict=False)]
    source: Natural
    first: Natural
    below: Natural
    order_ids: Annotated[tuple[Id, ...], BeforeValidator(_as_tuple), Field(max_length=MOST_LINES)]


Record = (
    OrderPlaced
    | CancellationRequested
    | DeadlinePassed
    | OrderCompleted
    | OrderCancelled
    | PaymentRequested
    | RefundRequested
    | ReservationRequested
    | ReleaseRequested
    | ShipmentRequested
    | ShipmentCancellationRequested
    | FundsDeposited
    | StockReceived
    | PolicyChanged
    | LeavingBegun
    | CohortsClosed
    | CohortsForgotten
    | OrdersLeft
)
