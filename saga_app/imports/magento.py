"""Magento 2 and Adobe Commerce: orders of the REST API (`/V1/orders`)."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import AliasPath, Field

from saga_app.imports.documents import documents, inside
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
    "complete": "its goods have left (complete)",
    "closed": "it was refunded (closed)",
    "canceled": "it was cancelled",
}
#: A bundle's goods are its parts; all other goods with parts are sold as a whole.
_BUNDLE: Final = "bundle"


class MagentoItem(ForeignModel):
    item_id: str
    parent_item_id: str | None = None
    product_type: str = "simple"
    name: str = ""
    #: A configurable product's item has the SKU of the variant that was chosen.
    sku: str | None = None
    qty_ordered: ForeignQuantity
    qty_canceled: ForeignQuantity | None = None
    qty_refunded: ForeignQuantity | None = None
    qty_shipped: ForeignQuantity | None = None
    price: OptionalMoney = None
    #: Of the whole line, without tax, before discounts.
    row_total: OptionalMoney = None


class MagentoAddress(ForeignModel):
    country_id: str | None = None


class MagentoOrder(ForeignModel):
    increment_id: str
    state: str
    order_currency_code: str
    #: Of all that was ordered, also of what was cancelled or refunded since.
    grand_total: ForeignMoney
    shipping_amount: OptionalMoney = None
    tax_amount: OptionalMoney = None
    #: Below zero if there is one.
    discount_amount: OptionalMoney = None
    total_refunded: OptionalMoney = None
    customer_id: str | None = None
    shipping: MagentoAddress | None = Field(
        None,
        validation_alias=AliasPath("extension_attributes", "shipping_assignments", 0, "shipping", "address"),
    )
    billing_address: MagentoAddress | None = None
    items: tuple[MagentoItem, ...]


def payloads(data: bytes) -> Iterable[Any]:
    """Each order in a file; the answer to a search has them as its items."""
    for document in documents(data):
        is_search = (
            inside(document, "search_criteria") is not None or inside(document, "total_count") is not None
        )
        yield from (inside(document, "items") or ()) if is_search else [document]


def order(payload: Any) -> ForeignOrder:
    """One order; `ValidationError` if a field that we need is missing."""
    found = MagentoOrder.model_validate(payload)
    address = found.shipping or found.billing_address
    return ForeignOrder(
        name=f"#{found.increment_id}",
        number=found.increment_id,
        currency=found.order_currency_code,
        total=found.grand_total,
        lines=list(_goods(found.items)),
        shipping=found.shipping_amount,
        tax=found.tax_amount,
        discount=None if found.discount_amount is None else abs(found.discount_amount),
        customer=found.customer_id,
        country=None if address is None else address.country_id,
        left_out=next(_why_not(found), None),
    )


def _why_not(found: MagentoOrder) -> Iterator[str]:
    if why := _NOT_PLACED.get(found.state):
        yield why
    if any(each.qty_canceled for each in found.items):
        yield "it was cancelled in part"
    if found.total_refunded or any(each.qty_refunded for each in found.items):
        yield "it was refunded in part"
    if any(each.qty_shipped for each in found.items):
        yield "its goods have left in part"


def _goods(items: tuple[MagentoItem, ...]) -> Iterator[ForeignLine]:
    """Each article once: the order lists a product with parts, and its parts too."""
    bundles = {each.item_id for each in items if each.product_type == _BUNDLE}
    for each in items:
        is_part = each.parent_item_id is not None and each.parent_item_id not in bundles
        if each.item_id not in bundles and not is_part:
            yield ForeignLine(each.sku, each.qty_ordered, each.price, each.name, each.row_total)
