"""Shopify: orders of the REST Admin API and of webhooks, of GraphQL queries, and of bulk operations (JSONL)."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field

from saga_app.imports.documents import documents, inside, nodes
from saga_app.imports.foreign import (
    ForeignLine,
    ForeignModel,
    ForeignMoney,
    ForeignOrder,
    ForeignQuantity,
    OptionalMoney,
)

#: Financial states with which there is nothing to place.
_NOT_PLACED: Final = {
    "refunded": "it was refunded",
    "partially_refunded": "it was refunded in part",
    "voided": "its payment was voided",
    "expired": "its payment has expired",
}


def _set(name: str, field: str = "amount") -> AliasPath:
    """GraphQL has each amount twice; this one is in the shop's currency, as REST has it."""
    return AliasPath(name, "shopMoney", field)


def _whole(connection: Any) -> list[Any] | None:
    """The nodes of a connection of which no further page is left."""
    if inside(connection, "pageInfo", "hasNextPage"):
        raise ValueError("more lines are on a further page; export the order with all of its lines")
    return nodes(connection)


class ShopifyCustomer(ForeignModel):
    id: str


class ShopifyAddress(ForeignModel):
    country: str | None = Field(
        None, validation_alias=AliasChoices("country_code", "countryCodeV2", "countryCode")
    )


class ShopifyLine(ForeignModel):
    sku: str | None = None
    name: str = Field("", validation_alias=AliasChoices("name", "title"))
    #: The current one is without what was taken back or removed since.
    quantity: ForeignQuantity = Field(
        validation_alias=AliasChoices("current_quantity", "currentQuantity", "quantity")
    )
    price: OptionalMoney = Field(None, validation_alias=AliasChoices("price", _set("originalUnitPriceSet")))


class ShopifyOrder(ForeignModel):
    id: str
    name: str
    currency: str = Field(
        validation_alias=AliasChoices(
            "currency",
            "currencyCode",
            _set("currentTotalPriceSet", "currencyCode"),
            _set("totalPriceSet", "currencyCode"),
        )
    )
    total: ForeignMoney = Field(
        validation_alias=AliasChoices(
            "current_total_price", _set("currentTotalPriceSet"), "total_price", _set("totalPriceSet")
        )
    )
    shipping: OptionalMoney = Field(
        None,
        validation_alias=AliasChoices(
            AliasPath("total_shipping_price_set", "shop_money", "amount"), _set("totalShippingPriceSet")
        ),
    )
    tax: OptionalMoney = Field(
        None,
        validation_alias=AliasChoices(
            "current_total_tax", _set("currentTotalTaxSet"), "total_tax", _set("totalTaxSet")
        ),
    )
    #: The prices have their tax in them.
    taxes_included: bool = Field(False, validation_alias=AliasChoices("taxes_included", "taxesIncluded"))
    discount: OptionalMoney = Field(
        None,
        validation_alias=AliasChoices(
            "current_total_discounts",
            _set("currentTotalDiscountsSet"),
            "total_discounts",
            _set("totalDiscountsSet"),
        ),
    )
    test: bool = False
    cancelled_at: str | None = Field(None, validation_alias=AliasChoices("cancelled_at", "cancelledAt"))
    financial: str | None = Field(
        None, validation_alias=AliasChoices("financial_status", "displayFinancialStatus")
    )
    fulfillment: str | None = Field(
        None, validation_alias=AliasChoices("fulfillment_status", "displayFulfillmentStatus")
    )
    customer: ShopifyCustomer | None = None
    address: ShopifyAddress | None = Field(
        None, validation_alias=AliasChoices("shipping_address", "shippingAddress")
    )
    lines: Annotated[tuple[ShopifyLine, ...], BeforeValidator(_whole)] = Field(
        validation_alias=AliasChoices("line_items", "lineItems")
    )


def payloads(data: bytes) -> Iterable[Any]:
    """Each order in a file, whatever is around it; the lines of a bulk operation's order are put into it."""
    orders: list[Any] = []
    bulk: dict[str, list[Any]] = {}
    for document in documents(data):
        for each in _orders_in(document):
            parent = inside(each, "__parentId")
            if isinstance(parent, str) and parent in bulk:
                bulk[parent].append(each)
                continue
            if isinstance(each, dict) and isinstance(gid := each.get("id"), str) and "lineItems" not in each:
                each["lineItems"] = bulk[gid] = []
            orders.append(each)
    return orders


def order(payload: Any) -> ForeignOrder:
    """One order; `ValidationError` if a field that we need is missing."""
    found = ShopifyOrder.model_validate(payload)
    return ForeignOrder(
        name=found.name,
        number=_number(found.id),
        currency=found.currency,
        total=found.total,
        lines=[ForeignLine(each.sku, each.quantity, each.price, each.name) for each in found.lines],
        shipping=found.shipping,
        tax=None if found.taxes_included else found.tax,
        discount=found.discount,
        customer=None if found.customer is None else _number(found.customer.id),
        country=None if found.address is None else found.address.country,
        left_out=next(_why_not(found), None),
    )


def _orders_in(document: Any) -> list[Any]:
    for path in (("orders",), ("data", "orders")):
        if (found := nodes(inside(document, *path))) is not None:
            return found
    one = inside(document, "order") or inside(document, "data", "order")
    return [document if one is None else one]


def _number(gid: str) -> str:
    """`gid://shopify/Order/450789469` and 450789469 are the same order."""
    return gid.rpartition("/")[2]


def _why_not(found: ShopifyOrder) -> Iterator[str]:
    if found.test:
        yield "it is a test"
    if found.cancelled_at:
        yield "it was cancelled"
    if why := _NOT_PLACED.get((found.financial or "").lower()):
        yield why
    if (found.fulfillment or "").lower() in ("fulfilled", "partial", "partially_fulfilled", "restocked"):
        yield f"its goods have left ({(found.fulfillment or '').lower()})"
