"""WooCommerce: orders of the REST API (`/wp-json/wc/v3/orders`) and of webhooks."""

from collections.abc import Iterable
from typing import Any, Final

from saga_app.imports.documents import documents
from saga_app.imports.foreign import (
    ForeignLine,
    ForeignModel,
    ForeignMoney,
    ForeignOrder,
    ForeignQuantity,
    OptionalMoney,
)

#: States with which there is nothing to place.
_NOT_PLACED: Final = {
    "completed": "its goods have left (completed)",
    "cancelled": "it was cancelled",
    "refunded": "it was refunded",
    "failed": "its payment failed",
    "trash": "it is in the trash",
    "checkout-draft": "it is a draft",
}


class WooAddress(ForeignModel):
    country: str = ""


class WooLine(ForeignModel):
    name: str = ""
    sku: str | None = None
    quantity: ForeignQuantity
    #: Of the whole line, after discounts, without tax. `price` is this divided by the quantity, in many digits.
    total: ForeignMoney


class WooOrder(ForeignModel):
    id: str
    number: str
    status: str
    currency: str
    total: ForeignMoney
    shipping_total: OptionalMoney = None
    #: Of the lines and of the shipment. Discounts are off the lines already.
    total_tax: OptionalMoney = None
    customer_id: str = "0"
    billing: WooAddress = WooAddress()
    shipping: WooAddress = WooAddress()
    line_items: tuple[WooLine, ...]
    #: `total` and the lines stay as they were ordered.
    refunds: tuple[Any, ...] = ()


def payloads(data: bytes) -> Iterable[Any]:
    """Each order in a file."""
    return documents(data)


def order(payload: Any) -> ForeignOrder:
    """One order; `ValidationError` if a field that we need is missing."""
    found = WooOrder.model_validate(payload)
    return ForeignOrder(
        name=f"#{found.number}",
        number=found.id,
        currency=found.currency,
        total=found.total,
        lines=[
            ForeignLine(
                each.sku,
                each.quantity,
                each.total / each.quantity if each.quantity else None,
                each.name,
                total=each.total,
            )
            for each in found.line_items
        ],
        shipping=found.shipping_total,
        tax=found.total_tax,
        # 0 is a guest.
        customer=None if found.customer_id == "0" else found.customer_id,
        country=found.shipping.country or found.billing.country or None,
        left_out=_NOT_PLACED.get(found.status.removeprefix("wc-"))
        or ("it was refunded in part" if found.refunds else None),
    )
