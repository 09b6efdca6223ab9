"""An order in normal form, with its one spelling; lines as people write them, and in normal form."""

from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any

from pydantic import FailFast, Field

from saga_app.core.amounts import Amounts, require_parts
from saga_app.core.fields import (
    AS_TUPLE,
    LARGEST_QUANTITY,
    MOST_LINES,
    Country,
    Currency,
    Id,
    Model,
    Money,
    Patience,
    Provided,
    Quantity,
    TypedId,
)
from saga_app.core.free_text import FreeReference, MetadataPairs, spelled
from saga_app.core.step_names import StepName


class Line(Model):
    """One article of an order in normal form."""

    sku: Id
    quantity: Quantity


class PricedLine(Model):
    """One article as people write it. Where `total` is given, `unit_price` may have more digits than the currency."""

    sku: TypedId
    quantity: Quantity
    unit_price: Money | None = None
    total: Money | None = None


# One line that is wrong is enough: an error for each of 85,000 empty ones takes half a second.
Lines = Annotated[tuple[Line, ...], Field(max_length=MOST_LINES), FailFast(), AS_TUPLE]
PricedLines = Annotated[tuple[PricedLine, ...], Field(max_length=MOST_LINES), FailFast(), AS_TUPLE]
#: The steps that an order passes, in sequence.
OrderRoute = Annotated[
    tuple[Annotated[StepName, Field(strict=False)], ...], Field(min_length=1, max_length=16), AS_TUPLE
]


class Order(Model):
    """An order in normal form: defaults filled in, amount computed, lines merged by SKU and sorted.

    `payment_method` is what a provider can charge, where nothing has begun; `payment_reference` is a payment that the
    customer has begun there. Without either the payment is inside. `patience`: seconds until it is given up.
    `reference` and `metadata` are the shop's own, and never interpreted. `route` is written by checkout; None: the
    steps that are built in.
    """

    order_id: Id
    customer_id: Id | None = None
    currency: Currency
    amount: Money
    shipping: Money | None = None
    tax: Money | None = None
    discount: Money | None = None
    country: Country | None = None
    payment_method: Provided | None = None
    payment_reference: Provided | None = None
    patience: Patience | None = None
    warehouse: Id
    reference: FreeReference | None = None
    metadata: MetadataPairs | None = None
    lines: Lines
    route: OrderRoute | None = None

    def model_post_init(self, context: Any, /) -> None:
        """Only the normal form is an order. A validator would run again for every step request."""
        require_parts(self.currency, Amounts(self.amount, self.shipping, self.tax, self.discount))
        require_one_payment(self.payment_method, self.payment_reference, self.amount)
        skus = [line.sku for line in self.lines]
        if len(skus) > 1 and skus != sorted(set(skus)):
            raise ValueError("the lines are not merged and sorted")

    @cached_property
    def canonical(self) -> bytes:
        """The one spelling of this order, in every step request and in its row of `orders`."""
        # Ids, codes and amounts need no escapes; free text has them.
        # `!s` takes a third of the time that formatting a Decimal takes.
        customer = "" if self.customer_id is None else f'"customer_id":"{self.customer_id}",'
        country = "" if self.country is None else f'"country":"{self.country}",'
        method = "" if self.payment_method is None else f'"payment_method":"{self.payment_method}",'
        begun = "" if self.payment_reference is None else f'"payment_reference":"{self.payment_reference}",'
        shipping = "" if self.shipping is None else f',"shipping":"{self.shipping!s}"'
        tax = "" if self.tax is None else f',"tax":"{self.tax!s}"'
        discount = "" if self.discount is None else f',"discount":"{self.discount!s}"'
        patient = "" if self.patience is None else f'"patience":{self.patience},'
        reference = "" if self.reference is None else f'"reference":{spelled(self.reference)},'
        more = "" if self.metadata is None else f'"metadata":{spelled(self.metadata)},'
        lines = ",".join([f'{{"sku":"{line.sku}","quantity":{line.quantity}}}' for line in self.lines])
        route = "" if self.route is None else ',"route":["{}"]'.format('","'.join(self.route))
        return (
            f'{{"order_id":"{self.order_id}",{customer}"currency":"{self.currency}","amount":"{self.amount!s}"'
            f'{shipping}{tax}{discount},{country}{method}{begun}{patient}"warehouse":"{self.warehouse}",'
            f'{reference}{more}"lines":[{lines}]{route}}}'
        ).encode()

    @cached_property
    def digest(self) -> str:
        """16 hex digits that differ if the content differs."""
        return digest(self.canonical)


def routed(order: Order, route: tuple[StepName, ...] | None) -> Order:
    """The same order on this route."""
    return (
        order
        if order.route == route
        else Order.of(**{**{name: getattr(order, name) for name in Order.model_fields}, "route": route})
    )


def as_placed(canonical: bytes) -> bytes:
    """The same order in canonical form, without what checkout has written into it: its route."""
    before, found, _ = canonical.rpartition(b'],"route":["')
    return before + b"]}" if found else canonical


def require_one_payment(method: str | None, reference: str | None, amount: Decimal) -> None:
    """`ValueError` if a payment that has begun has another method, or nothing to pay."""
    if reference is None:
        return
    if method is not None:
        raise ValueError("a payment that has begun has its method: payment_method must be left out")
    if not amount:
        raise ValueError("a payment has begun, but there is nothing to pay")


def digest(content: bytes) -> str:
    """16 hex digits of BLAKE2b: rows keep them to detect another content under a known id."""
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
